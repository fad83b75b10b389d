package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
)

// columns are the variables of the template: one that it gains asks for a column.
var columns = slices.Sorted(maps.Keys(Demo{}.Variables()))

// readRows returns an order for each row, or everything that is wrong with the rows. It sends nothing.
func readRows(from io.Reader) ([]durable.Order, error) {
	lines := bufio.NewReader(from)
	if mark, _ := lines.Peek(3); string(mark) == "\ufeff" { // as spreadsheets write it
		_, _ = lines.Discard(3)
	}
	first, _ := lines.Peek(4096)
	header, _, _ := strings.Cut(string(first), "\n")
	table := csv.NewReader(lines)
	if strings.Count(header, ";") > strings.Count(header, ",") { // as spreadsheets do where the comma is the decimal sign
		table.Comma = ';'
	}
	names, err := table.Read()
	if err != nil {
		return nil, fmt.Errorf("the header cannot be read: %w", err)
	}
	place := make(map[string]int)
	var problems []error
	for i, name := range names {
		if _, twice := place[name]; twice && name != "" {
			problems = append(problems, fmt.Errorf("line 1: there are two columns %q", name))
		}
		place[name] = i
	}
	for _, name := range append([]string{"id"}, columns...) {
		if _, ok := place[name]; !ok {
			problems = append(problems, fmt.Errorf("line 1: column %q is missing; the columns are %q", name, names))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	var orders []durable.Order
	lineOf := make(map[string]int)
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if _, ok := errors.AsType[*csv.ParseError](err); ok {
			problems = append(problems, err)
			continue
		} else if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(record, func(value string) bool { return value != "" }) {
			continue // a row of commas
		}
		line, _ := table.FieldPos(0)
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...)))
		}
		value := func(column string) string { return record[place[column]] }
		o := newOrder(strings.TrimSpace(value("id")), value)
		if twin := lineOf[o.ID]; o.ID == "" {
			bad("id: is empty")
		} else if twin > 0 {
			bad("id: %q is that of line %d", o.ID, twin)
		}
		lineOf[o.ID] = cmp.Or(lineOf[o.ID], line)
		for _, column := range columns {
			if value(column) == "" {
				bad("%s: is empty", column)
			}
		}
		invalid, _ := errors.AsType[*creatify.ValidationError](o.Params.Validate())
		for _, p := range problemsOf(invalid) {
			if column := strings.TrimPrefix(p.Field, "variables."); place[column] == 0 || value(column) != "" {
				bad("%s: %s", column, p.Message)
			}
		}
		orders = append(orders, o)
	}
	if len(orders) == 0 && len(problems) == 0 {
		return nil, errors.New("there are no rows below the header")
	}
	return orders, errors.Join(problems...)
}

func problemsOf(err *creatify.ValidationError) []creatify.Problem {
	if err == nil {
		return nil
	}
	return err.Problems
}

func newOrder(id string, value func(column string) string) durable.Order {
	params := NewDemo(DemoHeadline(value("headline")), DemoPhoto(value("photo"))).Params()
	params.Name = id // by which a person finds the job if its ID is lost
	return durable.Order{ID: id, Kind: durable.Preview, Params: params}
}

// writeResults writes a line for each order. A value that a spreadsheet would take for a formula is quoted.
func writeResults(to io.Writer, orders []*durable.Order) error {
	table := csv.NewWriter(to)
	_ = table.Write([]string{"id", "state", "job", "preview", "credits", "reason"})
	for _, o := range orders {
		preview, reason := "", o.Reason
		if o.Job != nil {
			preview, reason = o.Job.Preview, cmp.Or(o.Job.FailedReason, o.Reason)
		}
		record := []string{o.ID, string(o.State), o.JobID, preview, fmt.Sprint(o.Credits), reason}
		for i, value := range record {
			if strings.ContainsAny(value[:min(1, len(value))], "=+-@\t\r") {
				record[i] = "'" + value
			}
		}
		_ = table.Write(record)
	}
	table.Flush()
	return table.Error()
}
