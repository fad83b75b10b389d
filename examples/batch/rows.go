package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
)

// columns are the ID and the variables of the template: one that it gains asks for a column.
var columns = append([]string{"id"}, slices.Sorted(maps.Keys(Demo{}.Variables()))...)

func newOrder(cells map[string]string) durable.Order {
	params := NewDemo(DemoHeadline(cells["headline"]), DemoPhoto(cells["photo"])).Params()
	params.Name = cells["id"] // by which a person finds the job if its ID is lost
	return durable.Order{ID: params.Name, Kind: durable.Preview, Params: params}
}

// readRows returns an order for each row, or what is wrong with the rows.
func readRows(text []byte) (orders []durable.Order, err error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // as spreadsheets write it
	reader := csv.NewReader(bytes.NewReader(text))
	if i := bytes.IndexAny(text, ",;\t"); i >= 0 {
		reader.Comma = rune(text[i]) // spreadsheets write semicolons where the comma is the decimal sign
	}
	table, err := reader.ReadAll()
	if err != nil || len(table) == 0 || !utf8.Valid(text) {
		return nil, errors.Join(errors.New(`it is not CSV in UTF-8, with as many cells in each row as in the first (save it as "CSV UTF-8")`), err)
	}
	named, seen := map[string]int{}, map[string]bool{}
	for i, name := range table[0] {
		table[0][i] = strings.TrimSpace(name)
		named[table[0][i]]++
	}
	for _, column := range columns {
		if named[column] != 1 {
			return nil, fmt.Errorf("there must be one column %q; the columns are %q", column, table[0])
		}
	}
	for i, row := range table[1:] {
		if strings.Join(row, "") == "" {
			continue // a spreadsheet's row of commas
		}
		cells := map[string]string{}
		for j, cell := range row {
			cells[table[0][j]] = strings.TrimSpace(cell)
		}
		o := newOrder(cells)
		problem := o.Params.Validate()
		if slices.ContainsFunc(columns, func(column string) bool { return cells[column] == "" }) {
			problem = errors.New("a cell is empty") // it would be blank in the video, and charged
		} else if seen[o.ID] {
			problem = errors.New("another row has this id")
		}
		if problem != nil {
			err = errors.Join(err, fmt.Errorf("row %d %q: %w", i+2, o.ID, problem))
		}
		seen[o.ID], orders = true, append(orders, o)
	}
	if len(orders) == 0 {
		return nil, errors.New("there are no rows below the header")
	}
	return orders, err
}

// writeResults writes a line for each order. A value that a spreadsheet would take for a formula is quoted.
func writeResults(name string, orders []durable.Order) error {
	var text bytes.Buffer
	table := csv.NewWriter(&text)
	_ = table.Write([]string{"id", "state", "job", "preview", "credits", "reason"})
	for _, o := range orders {
		preview := cmp.Or(o.Job, &creatify.Job{}).Preview
		record := []string{o.ID, string(o.State), o.JobID, preview, fmt.Sprint(o.Credits), o.Reason}
		for i, value := range record {
			if strings.ContainsAny(value[:min(1, len(value))], "=+-@\t\r\n") {
				record[i] = "'" + value
			}
		}
		_ = table.Write(record)
	}
	table.Flush()
	part := name + ".part"
	if err := os.WriteFile(part, text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(part, name) // a kill leaves the results as they were
}
