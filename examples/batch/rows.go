package main

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/creatify-community/creatify-go"
)

// row is one line of the input.
type row struct {
	id     string
	params creatify.JobParams
	sum    string // of what is sent: the same for the same values
}

// columns are those of the variables: a template that has gained one asks for its column.
var columns = slices.Sorted(maps.Keys(Demo{}.Variables()))

// readRows reads all rows, or reports all that is wrong with them. It sends nothing.
func readRows(from io.Reader) ([]row, error) {
	table := csv.NewReader(from)
	header, err := table.Read()
	if err != nil {
		return nil, fmt.Errorf("no header: %w", err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // as spreadsheets write it
	var problems []error
	place := make(map[string]int)
	for i, name := range header {
		if _, twice := place[name]; twice {
			problems = append(problems, fmt.Errorf("line 1: there are two columns %q", name))
		}
		place[name] = i
	}
	for _, name := range append([]string{"id"}, columns...) {
		if _, ok := place[name]; !ok {
			problems = append(problems, fmt.Errorf("line 1: there is no column %q", name))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}

	check, err := newChecker()
	if err != nil {
		return nil, err
	}
	var rows []row
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
		line, _ := table.FieldPos(0)
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...)))
		}
		value := func(column string) string { return record[place[column]] }
		r := newRow(strings.TrimSpace(value("id")), value)
		if first := lineOf[r.id]; r.id == "" {
			bad("id: is empty")
		} else if first > 0 {
			bad("id: %q is that of line %d", r.id, first)
		} else {
			lineOf[r.id] = line
		}
		for _, column := range columns {
			if value(column) == "" {
				bad("%s: is empty", column)
			}
		}
		for _, p := range check(r.params) {
			column := strings.TrimPrefix(p.Field, "variables.")
			if place, ok := place[column]; ok && record[place] == "" {
				continue // said already
			}
			bad("%s: %s", column, p.Message)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 && len(problems) == 0 {
		return nil, errors.New("there are no rows")
	}
	return rows, errors.Join(problems...)
}

func newRow(id string, value func(column string) string) row {
	r := row{id: id, params: NewDemo(DemoHeadline(value("headline")), DemoPhoto(value("photo"))).Params()}
	r.params.Name = id // by which a person finds the job, should its ID be lost
	sum := sha256.New()
	fmt.Fprint(sum, DemoTemplateID)
	for _, column := range columns {
		fmt.Fprintf(sum, " %s=%q", column, value(column))
	}
	r.sum = fmt.Sprintf("%x", sum.Sum(nil)[:8])
	return r
}

// newChecker lets the library judge parameters. Its client has an empty budget, with which nothing is ever sent.
func newChecker() (func(creatify.JobParams) []creatify.Problem, error) {
	client, err := creatify.New("none", "none", creatify.WithBudget(creatify.NewBudget(creatify.BudgetOptions{})))
	return func(params creatify.JobParams) []creatify.Problem {
		_, err := client.Jobs.CreatePreview(context.Background(), params)
		if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
			return invalid.Problems
		}
		return nil
	}, err
}
