package main

import (
	"encoding/csv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadRows(t *testing.T) {
	want := []durable.Order{
		{ID: "a", Kind: durable.Preview, Params: creatify.JobParams{TemplateID: DemoTemplateID, Name: "a",
			Variables: creatify.Variables{"headline": creatify.Text("Half price, today"), "photo": creatify.Image("https://example.com/a")}}},
		{ID: "b", Kind: durable.Preview, Params: creatify.JobParams{TemplateID: DemoTemplateID, Name: "b",
			Variables: creatify.Variables{"headline": creatify.Text("Größe\n\"M\""), "photo": creatify.Image("https://example.com/b")}}},
	}
	tests := []struct{ name, text string }{
		{"commas", "id,headline,photo\na,\"Half price, today\",https://example.com/a\nb,\"Größe\n\"\"M\"\"\",https://example.com/b\n"},
		{"CRLF, and no line end at the end", "id,headline,photo\r\na,\"Half price, today\",https://example.com/a\r\nb,\"Größe\r\n\"\"M\"\"\",https://example.com/b"},
		{"a BOM before a quoted header", "\ufeff\"id\",\"headline\",\"photo\"\na,\"Half price, today\",https://example.com/a\nb,\"Größe\n\"\"M\"\"\",https://example.com/b\n"},
		{"semicolons", "id;headline;photo\na;Half price, today;https://example.com/a\nb;\"Größe\n\"\"M\"\"\";https://example.com/b\n"},
		{"tabs", "id\theadline\tphoto\na\tHalf price, today\thttps://example.com/a\nb\t\"Größe\n\"\"M\"\"\"\thttps://example.com/b\n"},
		{"Excel's empty columns and rows of commas", "id,headline,photo,,,\na,\"Half price, today\",https://example.com/a,,,\n,,,,,\nb,\"Größe\n\"\"M\"\"\",https://example.com/b,,,\n,,,,,\n,,,,,\n"},
		{"empty lines", "id,headline,photo\n\na,\"Half price, today\",https://example.com/a\n\n\nb,\"Größe\n\"\"M\"\"\",https://example.com/b\n\n"},
		{"columns in another order, with others between and spaces", " photo , note,id ,headline\nhttps://example.com/a,x, a ,\"Half price, today\"\nhttps://example.com/b,,b,\"Größe\n\"\"M\"\"\"\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			orders, err := readRows([]byte(test.text))
			require.NoError(t, err)
			assert.Equal(t, want, orders)
		})
	}
}

func TestReadRows_refuses(t *testing.T) {
	tests := []struct {
		name, text string
		says       []string
	}{
		{"an empty file", "", []string{"it is not CSV in UTF-8"}},
		{"a BOM alone", "\ufeff", []string{"it is not CSV in UTF-8"}},
		{"rows of commas alone", "id,headline,photo\n,,\n", []string{"there are no rows below the header"}},
		{"a column that is there twice", "id,headline,headline,photo\n", []string{`there must be one column "headline"; the columns are ["id" "headline" "headline" "photo"]`}},
		{"an unknown separator", "id|headline|photo\na|A|https://example.com/a\n", []string{`there must be one column "id"; the columns are ["id|headline|photo"]`}},
		{"no header", "a,A,https://example.com/a\n", []string{`there must be one column "id"; the columns are ["a" "A" "https://example.com/a"]`}},
		{"a header with control characters", "id\x1b]0;owned\a,headline,photo\n", []string{`"id\x1b]0"`}},
		{"Windows-1252", "id,headline,photo\na,Gr\xf6\xdfe,https://example.com/a\n", []string{`it is not CSV in UTF-8, with as many cells in each row as in the first (save it as "CSV UTF-8")`}},
		{"UTF-16", "\xff\xfei\x00d\x00,\x00", []string{"it is not CSV in UTF-8"}},
		{"a quotation mark that is not closed", "id,headline,photo\na,\"A,https://example.com/a\nb,B,https://example.com/b\n", []string{"extraneous or missing"}},
		{"a row that is too long", "id,headline,photo\na,A,https://example.com/a,more\n", []string{"record on line 2: wrong number of fields"}},
		{"a name that is too long", "id,headline,photo\n" + strings.Repeat("ä", 300) + ",A,https://example.com/a\n", []string{"name: has 300 characters"}},
		{"a photo on this machine", "id,headline,photo\na,A,file:///etc/passwd\nb,B,http://127.0.0.1/b\n", []string{`row 2 "a": creatify: invalid parameters: variables.photo:`, `row 3 "b": creatify: invalid parameters: variables.photo:`}},
		{"a headline of blanks", "id,headline,photo\na, ,https://example.com/a\n", []string{`row 2 "a": a cell is empty`}},
		{"blanks around an id that is there", "id,headline,photo\na,A,https://example.com/a\n a ,B,https://example.com/b\n", []string{`row 3 "a": another row has this id`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := readRows([]byte(test.text))
			require.Error(t, err)
			for _, text := range test.says {
				assert.ErrorContains(t, err, text)
			}
			assert.NotContains(t, err.Error(), "\x1b")
			assert.NotContains(t, err.Error(), "\x00")
		})
	}
}

// TestReadRows_damaged changes a few bytes of files. A fuzz target would take minutes to build, because of
// what the program links.
func TestReadRows_damaged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 5000 {
		text := slices.Concat([]byte("\ufeff"), sample)[3*random.IntN(2):]
		for range random.IntN(4) {
			i, bytes := random.IntN(len(text)), ",;\t\n\r\"'\x00\xffid= "
			switch c := bytes[random.IntN(len(bytes))]; random.IntN(3) {
			case 0:
				text[i] = c
			case 1:
				text = slices.Insert(text, i, c)
			case 2:
				text = slices.Delete(text, i, min(i+random.IntN(30), len(text)))
			}
		}
		orders, err := readRows(text)
		if err != nil {
			continue
		}
		accepted++
		seen := map[string]bool{"": true}
		for _, o := range orders {
			require.False(t, seen[o.ID], "row %q is empty or there twice: %q", o.ID, text)
			require.NoError(t, o.Params.Validate(), "%q", text)
			seen[o.ID] = true
		}
	}
	assert.Greater(t, accepted, 1000)
	t.Logf("%d of 5000 files are accepted", accepted)
}

func TestWriteResults_quotes_formulas(t *testing.T) {
	t.Chdir(t.TempDir())
	var orders []durable.Order
	for _, value := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "plain", "a=1", `say "no", twice`} {
		orders = append(orders, durable.Order{ID: value, State: durable.StateFailed, Reason: value, Job: &creatify.Job{Preview: value}})
	}
	require.NoError(t, writeResults("results.csv", orders))
	file, err := os.Open("results.csv")
	require.NoError(t, err)
	defer file.Close()
	table, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	for i, record := range table[1:] {
		for _, column := range []int{0, 3, 5} {
			want := orders[i].ID
			if i < 7 {
				want = "'" + want
			}
			assert.Equal(t, want, record[column])
		}
	}
}
