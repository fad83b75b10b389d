package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
)

// columns are the variables of the template: one that it gains asks for a column.
var columns = slices.Sorted(maps.Keys(Demo{}.Variables()))

func newOrder(id string, value func(column string) string) durable.Order {
	params := NewDemo(DemoHeadline(value("headline")), DemoPhoto(value("photo"))).Params()
	params.Name = id // by which a person finds the job if its ID is lost
	return durable.Order{ID: id, Kind: durable.Preview, Params: params}
}

// readRows returns an order for each row, or everything that is wrong with the rows.
func readRows(text []byte) (orders []durable.Order, err error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // as spreadsheets write it
	if !utf8.Valid(text) {
		return nil, errors.New(`it is not UTF-8 (save it as "CSV UTF-8")`)
	}
	header, _, _ := bytes.Cut(text, []byte("\n"))
	table := csv.NewReader(bytes.NewReader(text))
	for _, separator := range ";\t" { // as spreadsheets write it where the comma is the decimal sign
		if bytes.Count(header, []byte(string(separator))) > bytes.Count(header, []byte(",")) {
			table.Comma = separator
		}
	}
	names, err := table.Read()
	if err != nil {
		return nil, fmt.Errorf("the header cannot be read: %w", err)
	}
	var problems []error
	bad := func(format string, args ...any) {
		line, _ := table.FieldPos(0)
		problems = append(problems, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...))
	}
	place := map[string]int{}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if _, twice := place[name]; twice && name != "" {
			bad("there are two columns %q", name)
		}
		place[name] = i
	}
	for _, name := range append([]string{"id"}, columns...) {
		if _, ok := place[name]; !ok {
			bad("column %q is missing; the columns are %q", name, names)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	seen := map[string]bool{}
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if strings.Join(record, "") == "" {
			continue // a row of commas
		}
		o := newOrder(strings.TrimSpace(record[place["id"]]), func(column string) string { return record[place[column]] })
		if seen[o.ID] {
			bad("id: %q is that of another row", o.ID)
		}
		if o.ID == "" || utf8.RuneCountInString(o.ID) > 200 || strings.ContainsFunc(o.ID, unicode.IsControl) {
			bad("id: must have 1 to 200 characters, and no control characters")
		}
		for _, column := range columns {
			if record[place[column]] == "" { // it would be blank in the video, and charged
				bad("%s: is empty", column)
			}
		}
		if invalid, ok := errors.AsType[*creatify.ValidationError](o.Params.Validate()); ok {
			for _, p := range invalid.Problems {
				bad("%s: %s", strings.TrimPrefix(p.Field, "variables."), p.Message)
			}
		}
		seen[o.ID], orders = true, append(orders, o)
	}
	if len(orders)+len(problems) == 0 {
		problems = append(problems, errors.New("there are no rows below the header"))
	}
	return orders, errors.Join(problems...)
}

// writeResults writes a line for each order. A value that a spreadsheet would take for a formula is quoted.
func writeResults(name string, orders []*durable.Order) error {
	var text bytes.Buffer
	table := csv.NewWriter(&text)
	_ = table.Write([]string{"id", "state", "job", "preview", "credits", "reason"})
	for _, o := range orders {
		preview := ""
		if o.Job != nil {
			preview = o.Job.Preview
		}
		record := []string{o.ID, string(o.State), o.JobID, preview, fmt.Sprint(o.Credits), o.Reason}
		for i, value := range record {
			if strings.ContainsAny(value[:min(1, len(value))], "=+-@\t\r\n") {
				record[i] = "'" + value
			}
		}
		_ = table.Write(record)
	}
	table.Flush()
	if err := os.WriteFile(name+".tmp", text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name)
}
