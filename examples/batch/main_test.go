package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/gofrs/flock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var allDone = map[string]string{"spring": "done", "summer": "done", "autumn": "done", "winter": "done"}

func TestRun_makes_all_rows_once(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		for range 2 {
			got := f.batch(t.Context())
			assert.Equal(t, 0, got.code, got.stderr)
			assert.Equal(t, "Results: results.csv, with 4 rows\n  4 done\nCredits: 4 spent, 0 unknown, 16 of 20 left\n", got.stdout)
			assert.Equal(t, allDone, results(t, "results.csv", "state"))
			assert.Equal(t, 4.0, f.fake.Charged())
		}
		for row, job := range results(t, "results.csv", "job") {
			known, _ := f.fake.Job(job)
			assert.Equal(t, row, known.Request.Name, "by which a person finds the job")
			assert.Equal(t, known.Preview, results(t, "results.csv", "preview")[row])
		}
	})
}

func TestRun_continues_what_was_stopped(t *testing.T) {
	tests := []struct {
		name   string
		stopAt time.Duration
		paid   float64 // by the first run
		code   int
	}{
		{"before the first row", 0, 0, 2},
		{"in the middle of a create, whose response is awaited", 500 * time.Millisecond, 4, 3},
		{"when all jobs are under way", 10 * time.Second, 4, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
				require.NoError(t, f.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Delay: time.Second}))
				ctx, cancel := context.WithTimeout(t.Context(), test.stopAt)
				defer cancel()
				start := time.Now()
				first := f.batch(ctx)
				assert.Less(t, time.Since(start)-test.stopAt, 3*time.Second, "the run continues after the stop")
				assert.Equal(t, test.code, first.code, first.stderr)
				assert.Equal(t, test.code == 3, strings.HasSuffix(first.stderr, again))
				assert.Equal(t, test.paid, f.fake.Charged())

				second := f.batch(t.Context())
				assert.Equal(t, 0, second.code, second.stderr)
				assert.Equal(t, allDone, results(t, "results.csv", "state"))
				assert.Equal(t, 4.0, f.fake.Charged())
			})
		})
	}
}

func TestRun_keeps_the_budget_over_all_runs(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		for range 2 {
			got := f.batch(t.Context(), "-budget=3")
			assert.Equal(t, 3, got.code, got.stderr)
			assert.Contains(t, got.stdout, "4 rows\n  3 done\n  1 queued\nCredits: 3 spent, 0 unknown, 0 of 3 left\n")
			assert.Contains(t, got.stderr, "The budget is used up: give a larger -budget. "+again)
			assert.Equal(t, 3.0, f.fake.Charged())
		}
		start := time.Now()
		got := f.batch(t.Context(), "-budget=4")
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Less(t, time.Since(start), 40*time.Second, "a larger budget is used at once")
		assert.Equal(t, 4.0, f.fake.Charged())
	})
}

func TestRun_stops_where_the_account_is_refused(t *testing.T) {
	tests := []struct {
		name, body, hint string
		status           int
	}{
		{"too few credits", `{"detail":"Not enough credits."}`, "The account has too few credits: add some.", 402},
		{"a wrong key", `{"detail":"Not ` + creatifytest.APIKey + `"}`, "The API refuses the key: check CREATIFY_API_ID and CREATIFY_API_KEY.", 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
				require.NoError(t, f.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Status: test.status, Body: test.body}))
				for range 2 {
					start := time.Now()
					got := f.batch(t.Context())
					assert.Equal(t, 3, got.code, got.stderr)
					assert.Less(t, time.Since(start), 10*time.Second)
					assert.Contains(t, got.stdout, "4 queued")
					assert.Contains(t, got.stderr, test.hint+" "+again)
				}
				assert.LessOrEqual(t, f.fake.Calls(creatifytest.CallCreatePreview), 8, "paid calls of two runs")

				f.fake.ClearFaults()
				start := time.Now()
				got := f.batch(t.Context())
				assert.Equal(t, 0, got.code, got.stderr)
				assert.Less(t, time.Since(start), 40*time.Second, "it continues at once")
				assert.Equal(t, 4.0, f.fake.Charged())
			})
		})
	}
}

func TestRun_does_not_send_again_what_may_be_paid(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		require.NoError(t, f.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Skip: 1, Drop: creatifytest.DropAfter}))
		for range 2 {
			got := f.batch(t.Context())
			assert.Equal(t, 3, got.code, got.stderr)
			assert.Contains(t, got.stdout, "Credits: 3 spent, 1 unknown, 16 of 20 left\n")
			assert.Contains(t, got.stdout, "\n  1 unknown, perhaps paid, and not sent again: look in the account for a job of the row's name (")
			assert.NotContains(t, got.stderr, again, "another run would change nothing")
		}
		assertPaidOnce(t, f.fake, results(t, "results.csv", "state"))
		assert.Equal(t, 4, f.fake.Calls(creatifytest.CallCreatePreview))
	})
}

func TestRun_stops_when_many_responses_are_lost(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		rows := "id,headline,photo\n"
		for i := range 40 {
			rows += strings.Repeat("x", i+1) + ",A,https://example.com/a\n"
		}
		f.write("in.csv", rows)
		require.NoError(t, f.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Delay: time.Second, Status: 500}))
		got := f.batch(t.Context(), "-budget=100")
		assert.Equal(t, 3, got.code, got.stderr)
		assert.Contains(t, got.stderr, "Many responses were lost: see whether the API is well. "+again)
		assert.LessOrEqual(t, f.fake.Calls(creatifytest.CallCreatePreview), 18)
	})
}

func TestRun_reports_how_jobs_end(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		f.fake.NextJob(creatifytest.Life{End: "failed", Reason: `=HYPERLINK("https://evil.example","open")`}, creatifytest.Life{End: "rejected", Reason: "against the rules"})
		require.NoError(t, f.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 400, Body: `["No."]`}))
		for range 2 {
			got := f.batch(t.Context())
			assert.Equal(t, 1, got.code, got.stderr)
			assert.Contains(t, got.stdout, "4 rows\n  1 done\n  1 failed\n  1 refused, not paid: the results say why (give a corrected row a new id)\n  1 rejected\n")
			var reasons []string
			for _, reason := range results(t, "results.csv", "reason") {
				reasons = append(reasons, reason)
			}
			assert.ElementsMatch(t, []string{"", `'=HYPERLINK("https://evil.example","open")`, "against the rules", "creatify: create preview: 400 Bad Request: No"}, reasons)
		}
		assertPaidOnce(t, f.fake, results(t, "results.csv", "state"))
		assert.Equal(t, 3.0, f.fake.Charged(), "a failed row is not sent again")
	})
}

func TestRun_waits_again_for_a_wait_that_was_given_up(t *testing.T) {
	var hidden atomic.Bool
	hidden.Store(true)
	withoutPreview := creatifytest.Life{Edit: func(job map[string]any) {
		if hidden.Load() {
			job["preview"] = nil
		}
	}}
	inFolder(t, creatifytest.Config{Life: withoutPreview}, func(t *testing.T, f *folder) {
		first := f.batch(t.Context())
		assert.Equal(t, 3, first.code, first.stderr)
		assert.Contains(t, first.stdout, "4 expired")
		assert.Contains(t, first.stderr, again)
		hidden.Store(false)
		second := f.batch(t.Context())
		assert.Equal(t, 0, second.code, second.stderr)
		assert.Equal(t, 4.0, f.fake.Charged())
	})
}

func TestRun_refuses_a_row_that_has_changed(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		require.Equal(t, 0, f.batch(t.Context()).code)
		f.write("in.csv", strings.Replace(string(sample), "Spring sale", "Spring", 1))
		got := f.batch(t.Context())
		assert.Equal(t, 2, got.code, got.stderr)
		assert.Contains(t, got.stderr, `row "spring": an earlier run has it with other values (give a changed row a new id)`)
		assert.Equal(t, 4.0, f.fake.Charged())
	})
}

func TestRun_does_not_send_rows_that_have_left_the_file(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		require.Equal(t, 3, f.batch(t.Context(), "-budget=3").code)
		var left string
		for row, state := range results(t, "results.csv", "state") {
			if state == "queued" {
				left = row
			}
		}
		var rest []string
		for line := range strings.Lines(string(sample)) {
			if !strings.HasPrefix(line, left+",") {
				rest = append(rest, line)
			}
		}
		f.write("in.csv", strings.Join(rest, ""))
		got := f.batch(t.Context())
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Contains(t, got.stderr, `Row "`+left+`" has left the file and is not sent.`)
		assert.Contains(t, got.stdout, "3 rows\n  3 done\n")
		assert.Equal(t, 3.0, f.fake.Charged())

		f.write("in.csv", string(sample))
		got = f.batch(t.Context())
		assert.Equal(t, 1, got.code, got.stderr)
		assert.Contains(t, got.stdout, "  1 cancelled, missing in an earlier run (give the row a new id)\n")
		assert.Equal(t, 3.0, f.fake.Charged())
	})
}

func TestRun_refuses_to_run_twice_at_once(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		other := flock.New("results.csv.db.lock")
		locked, err := other.TryLock()
		require.NoError(t, err)
		require.True(t, locked)
		got := f.batch(t.Context())
		assert.Equal(t, 2, got.code, got.stderr)
		assert.Contains(t, got.stderr, "results.csv.db is in use by another run: wait for its end")
		require.NoError(t, other.Unlock())
		assert.Equal(t, 0, f.batch(t.Context()).code)
		assert.Equal(t, 4.0, f.fake.Charged())
	})
}

func TestRun_reports_results_that_cannot_be_written(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		require.NoError(t, os.Mkdir("results.csv.part", 0o700))
		got := f.batch(t.Context())
		assert.Equal(t, 3, got.code, got.stderr)
		assert.Contains(t, got.stderr, "results.csv")
		assert.True(t, strings.HasSuffix(got.stderr, "\n"+again), got.stderr)
		require.NoError(t, os.Remove("results.csv.part"))
		assert.Equal(t, 0, f.batch(t.Context()).code)
		assert.Equal(t, 4.0, f.fake.Charged())
	})
}

func TestRun_shows_why_nothing_is_sent(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		require.NoError(t, f.fake.Inject(creatifytest.Fault{For: time.Minute, Drop: creatifytest.Refuse}))
		got := f.batch(t.Context())
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Contains(t, got.stderr, "s 0 done, 0 under way, 4 queued (not_sent) 0 %\n")
		assert.Equal(t, 4.0, f.fake.Charged())
	})
}

func TestRun_without_an_account(t *testing.T) {
	setAccount(t, "", "", "")
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("TMP", os.Getenv("TMPDIR")) // on Windows
	for range 2 {                        // the second does not meet the jobs of the first
		synctest.Test(t, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), nil, &stdout, &stderr)
			assert.Equal(t, 0, code, stderr.String())
			assert.Contains(t, stderr.String(), "This is a fake API, built in: nothing is charged.")
			assert.Equal(t, allDone, results(t, "results.csv", "state"))
		})
	}
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	assert.Empty(t, left, "the fake's orders are removed")
}

func TestRun_bad_usage(t *testing.T) {
	good := "id,headline,photo\na,A,https://example.com/a\n"
	tests := []struct {
		name, rows string
		args       []string
		says       []string
	}{
		{"all that is wrong with rows", "id,headline,photo\n,A,https://example.com/a\nb,,https://example.com/b\nc,C,nowhere\nb,B,https://example.com/b\n", nil, []string{
			`row 2 "": a cell is empty`, `row 3 "b": a cell is empty`, `row 4 "c": creatify: invalid parameters: variables.photo: must be`, `row 5 "b": another row has this id`}},
		{"a row that is too short", "id,headline,photo\nc,C\n", nil, []string{"in.csv:\nit is not CSV in UTF-8, with as many cells in each row as in the first", "record on line 2: wrong number of fields"}},
		{"an ID with a control character", "id,headline,photo\na\x1bb,A,https://example.com/a\n", nil, []string{"ID: must be at most 200 characters without control characters"}},
		{"missing columns", "id,title\na,A\n", nil, []string{`there must be one column "headline"; the columns are ["id" "title"]`}},
		{"no rows", "id,headline,photo\n", nil, []string{"there are no rows"}},
		{"no file of rows", good, []string{"-in="}, []string{"-in is missing"}},
		{"a file of rows that does not exist", good, []string{"-in=none.csv"}, []string{"none.csv"}},
		{"results in place of the rows", good, []string{"-out=in.csv"}, []string{"same file"}},
		{"results in a folder that does not exist", good, []string{"-out=none/results.csv"}, []string{"none/results.csv.db"}},
		{"no budget", good, []string{"-budget=0"}, []string{"-budget"}},
		{"a budget that is no number", good, []string{"-budget=NaN"}, []string{"-budget"}},
		{"a budget without end", good, []string{"-budget=Inf"}, []string{"-budget"}},
		{"an argument that is no flag", good, []string{"more"}, []string{`"more"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
				f.write("in.csv", test.rows)
				got := f.batch(t.Context(), test.args...)
				assert.Equal(t, 2, got.code, got.stderr)
				for _, text := range append(test.says, "Nothing was sent. For the usage: go run ./examples/batch -h\n") {
					assert.Contains(t, got.stderr, text)
				}
				assert.Zero(t, f.fake.Calls(""), "requests")
				assert.NoFileExists(t, "results.csv")
			})
		})
	}
}

func TestRun_refuses_half_an_account(t *testing.T) {
	setAccount(t, creatifytest.APIID, "", "")
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 2, run(t.Context(), nil, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "CREATIFY_API_KEY is missing")
}

func TestRun_help(t *testing.T) {
	setAccount(t, "", "", "")
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 0, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	assert.Equal(t, help, stdout.String())
	assert.Empty(t, stderr.String())
}

// TestGenerate: templates_gen.go is what go generate writes for the fake.
func TestGenerate(t *testing.T) {
	server := httptest.NewServer(creatifytest.New(creatifytest.Config{}))
	defer server.Close()
	command := exec.Command("go", "run", "github.com/creatify-community/creatify-go/cmd/creatify-gen", "-check", "-out", "templates_gen.go")
	command.Env = append(os.Environ(), "GOPACKAGE=main", "CREATIFY_BASE_URL="+server.URL,
		"CREATIFY_API_ID="+creatifytest.APIID, "CREATIFY_API_KEY="+creatifytest.APIKey)
	said, err := command.CombinedOutput()
	assert.NoError(t, err, "%s", said)
}

// With -out corrected, the orders are in another file, and all rows would be paid again.
func TestRun_looks_at_the_results_file_before_it_pays(t *testing.T) {
	for _, out := range []string{"-out=folder", "-out=folder/", "-out="} {
		inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
			require.NoError(t, os.Mkdir("folder", 0o700))
			got := f.batch(t.Context(), out)
			assert.Equal(t, 2, got.code, "%s: %s", out, got.stderr)
			assert.Equal(t, 0, f.batch(t.Context(), "-out=folder/results.csv").code)
			assert.Equal(t, 4.0, f.fake.Charged(), "%s, corrected", out)
		})
	}
}

// What may be paid counts also for rows that have left the file.
func TestRun_remembers_what_may_be_paid(t *testing.T) {
	inFolder(t, creatifytest.Config{}, func(t *testing.T, f *folder) {
		require.NoError(t, f.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: 4, Drop: creatifytest.DropAfter}))
		assert.Contains(t, f.batch(t.Context()).stdout, "Credits: 0 spent, 4 unknown, 16 of 20 left\n")
		f.write("in.csv", "id,headline,photo\nnew,New,https://example.com/new.jpg\n")
		got := f.batch(t.Context())
		assert.Contains(t, got.stdout, "Credits: 1 spent, 4 unknown, 15 of 20 left\n")
		assert.Contains(t, got.stdout, "4 unknown, perhaps paid")
		assert.Equal(t, 3, got.code)
	})
}
