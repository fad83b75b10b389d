package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAllRowsAreDone(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		got := f.batch(t.Context())
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Contains(t, got.stdout, "4 rows: 4 done")
		for i, id := range ids {
			assert.Equal(t, "done", f.result(id, "status"))
			assert.Contains(t, f.result(id, "preview"), f.api.Jobs()[i])
		}
		again := f.batch(t.Context())
		assert.Equal(t, 0, again.code, again.stderr)
		assert.Equal(t, 4.0, f.api.Charged(), "credits charged by both runs")
	})
}

func TestAStoppedRunGoesOnWithoutPayingTwice(t *testing.T) {
	cases := []struct {
		name   string
		stopAt time.Duration
		paid   int // by the first run
	}{
		{"before the first row", 0, 0},
		{"in the middle of a create, which is seen through", 2500 * time.Millisecond, 3},
		{"when all jobs are under way", 10 * time.Second, 4},
		{"when some jobs are done", 23 * time.Second, 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inFolder(t, func(t *testing.T, f *folder) {
				f.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Delay: time.Second})
				ctx, cancel := context.WithTimeout(t.Context(), c.stopAt)
				defer cancel()
				start := time.Now()
				first := f.batch(ctx)
				assert.Less(t, time.Since(start)-c.stopAt, time.Second, "the run goes on after the stop")
				assert.Equal(t, 3, first.code, first.stderr)
				assert.Contains(t, first.stderr, "run the same command again")
				assert.Equal(t, c.paid, len(f.api.Jobs()), "jobs of the first run")
				assert.Contains(t, []string{"created", "open", "done"}, f.result("spring", "status"), "the results so far")

				second := f.batch(t.Context())
				assert.Equal(t, 0, second.code, second.stderr)
				assert.Len(t, f.api.Jobs(), 4)
				assert.Equal(t, 4.0, f.api.Charged(), "credits charged by both runs")
				for i, id := range ids {
					assert.Equal(t, f.api.Jobs()[i], f.result(id, "job"))
				}
			})
		})
	}
}

func TestAStopDoesNotWaitForeverForACreate(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		f.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Delay: 50 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		got := f.batch(ctx)
		assert.Equal(t, 3, got.code, got.stderr)
		assert.Equal(t, time.Second+grace, time.Since(start))
		assert.Equal(t, "unknown", f.result("spring", "status"))
		assert.Equal(t, "open", f.result("summer", "status"))
	})
}

func TestALostReplyIsNotSentAgain(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		f.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Skip: 1, Drop: creatifytest.DropAfter})
		for range 2 {
			got := f.batch(t.Context())
			assert.Equal(t, 3, got.code, got.stderr)
			assert.Contains(t, got.stdout, "3 done")
			assert.Contains(t, got.stderr, "Unknown rows: 1.")
			assert.Equal(t, "unknown", f.result("summer", "status"))
			assert.Contains(t, f.result("summer", "reason"), "may have been charged")
		}
		assert.Equal(t, 4, f.api.Calls(creatifytest.CallCreatePreview), "create calls of both runs")
	})
}

func TestManyLostRepliesEndTheCreating(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		f.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Status: 500})
		got := f.batch(t.Context())
		assert.Equal(t, 3, got.code, got.stderr)
		assert.Equal(t, mostLost, f.api.Calls(creatifytest.CallCreatePreview))
		assert.Equal(t, "open", f.result("winter", "status"))
	})
}

func TestALostReplyThatNamesTheJobIsFollowed(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(f.api.HTTPClient()))
		require.NoError(t, err)
		job, err := client.Jobs.CreatePreview(t.Context(), Demo{Headline: "x", Photo: "https://example.com"}.Params())
		require.NoError(t, err)
		f.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 500, Body: string(job.RawJSON())})
		got := f.batch(t.Context())
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Equal(t, job.ID, f.result("spring", "job"))
	})
}

func TestARowThatWasBeingCreatedInACrashIsNotSentAgain(t *testing.T) {
	cases := []struct{ name, tail string }{
		{"after its line was written", ""},
		{"in the middle of the next line", `{"at":"2026-01-02T03:04:05Z","event":"creat`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inFolder(t, func(t *testing.T, f *folder) {
				rows, err := readRows(strings.NewReader(sample))
				require.NoError(t, err)
				f.write("results.csv.journal", fmt.Sprintf("{\"event\":\"account\"}\n"+`{"event":"creating","row":"spring","sum":%q}`+"\n%s", rows[0].sum, c.tail))
				for range 2 {
					got := f.batch(t.Context())
					assert.Equal(t, 3, got.code, got.stderr)
					assert.Equal(t, "unknown", f.result("spring", "status"))
					assert.Equal(t, "done", f.result("summer", "status"))
				}
				assert.Equal(t, 3, f.api.Calls(creatifytest.CallCreatePreview), "create calls")
			})
		})
	}
}

func TestABudgetHoldsOverAllRuns(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		for range 2 {
			got := f.batch(t.Context(), "-budget=3")
			assert.Equal(t, 3, got.code, got.stderr)
			assert.Contains(t, got.stdout, "3 done")
			assert.Contains(t, got.stdout, "1 not made yet")
			assert.Contains(t, got.stderr, "the budget is exceeded")
			assert.Equal(t, 3.0, f.api.Charged())
		}
		got := f.batch(t.Context(), "-budget=4")
		assert.Equal(t, 0, got.code, got.stderr)
		assert.Equal(t, 4.0, f.api.Charged())
	})
}

func TestJobsThatEndBadlyHaveTheirReasons(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		f.api.NextJob(creatifytest.Life{End: "failed", Reason: "photo has a size of 0"}, creatifytest.Life{End: "rejected", Reason: "against the rules"})
		for range 2 {
			got := f.batch(t.Context())
			assert.Equal(t, 1, got.code, got.stderr)
			assert.Equal(t, "failed", f.result("spring", "status"))
			assert.Equal(t, "photo has a size of 0", f.result("spring", "reason"))
			assert.Equal(t, "rejected", f.result("summer", "status"))
		}
		assert.Len(t, f.api.Jobs(), 4, "a failed row is not sent again")
	})
}

func TestARefusedRowIsTriedAgain(t *testing.T) {
	cases := []struct {
		name   string
		fault  creatifytest.Fault
		code   int
		status string
		sent   int
	}{
		{"a row that is refused", creatifytest.Fault{Status: 400, Body: `{"detail":"No."}`}, 1, "refused", 4},
		{"credentials that are refused, as for every row", creatifytest.Fault{Status: 401, Body: `{"detail":"Not ` + creatifytest.APIKey + `"}`}, 3, "refused", 1},
		{"an API that is not reached", creatifytest.Fault{Drop: creatifytest.Refuse, Times: 4}, 3, "open", 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inFolder(t, func(t *testing.T, f *folder) {
				c.fault.Call = creatifytest.CallCreatePreview
				f.api.Inject(c.fault)
				first := f.batch(t.Context())
				assert.Equal(t, c.code, first.code, first.stderr)
				assert.Equal(t, c.status, f.result("spring", "status"))
				assert.NotEmpty(t, f.result("spring", "reason"))
				assert.Equal(t, c.sent, f.api.Calls(creatifytest.CallCreatePreview))

				second := f.batch(t.Context())
				assert.Equal(t, 0, second.code, second.stderr)
				assert.Equal(t, 4.0, f.api.Charged())
			})
		})
	}
}

func TestAWaitThatEndsEarlyLeavesTheJobToTheNextRun(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		f.api.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, Status: 401, Body: `{"detail":"No."}`})
		first := f.batch(t.Context())
		assert.Equal(t, 3, first.code, first.stderr)
		assert.Contains(t, first.stdout, "3 done, 0 failed, 0 rejected, 0 refused, 1 under way")
		second := f.batch(t.Context())
		assert.Equal(t, 0, second.code, second.stderr)
		assert.Equal(t, 4.0, f.api.Charged())
	})
}

func TestNothingIsSentForBadRowsOrBadUsage(t *testing.T) {
	good := "id,headline,photo\na,A,https://example.com/a\n"
	cases := []struct {
		name, rows string
		args       []string
		says       []string
	}{
		{"all that is wrong with rows is said", "id,headline,photo\n,A,https://example.com/a\nb,,nowhere\nb,B,https://example.com/b\nc,C\nd,D,\n", nil,
			[]string{"line 2: id: is empty", "line 3: headline: is empty", "line 3: photo: must be", `line 4: id: "b" is that of line 3`, "line 5", "line 6: photo: is empty"}},
		{"missing columns", "id,title\na,A\n", nil, []string{`no column "headline"`, `no column "photo"`}},
		{"a column that is there twice", "id,headline,headline,photo\n", nil, []string{`two columns "headline"`}},
		{"no rows", "id,headline,photo\n", nil, []string{"no rows"}},
		{"an empty file", "", nil, []string{"no header"}},
		{"an id that is too long for a name", "id,headline,photo\n" + strings.Repeat("x", 256) + ",A,https://example.com/a\n", nil, []string{"line 2: name"}},
		{"no file of rows", good, []string{"-in="}, []string{"-in is missing"}},
		{"a file of rows that does not exist", good, []string{"-in=none.csv"}, []string{"none.csv"}},
		{"results in place of the rows", good, []string{"-out=in.csv"}, []string{"same file"}},
		{"no budget", good, []string{"-budget=0"}, []string{"-budget"}},
		{"a budget that is no number", good, []string{"-budget=NaN"}, []string{"-budget"}},
		{"an argument that is no flag", good, []string{"more"}, []string{`"more"`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inFolder(t, func(t *testing.T, f *folder) {
				f.write("in.csv", c.rows)
				got := f.batch(t.Context(), c.args...)
				assert.Equal(t, 2, got.code, got.stderr)
				for _, text := range c.says {
					assert.Contains(t, got.stderr, text)
				}
				assert.Zero(t, f.api.Calls(""), "requests sent")
				assert.NoFileExists(t, "results.csv")
			})
		})
	}
}

func TestASecondRunThatMightPayTwiceIsRefused(t *testing.T) {
	cases := []struct {
		name    string
		between func(t *testing.T, f *folder)
		says    string
	}{
		{"a row has changed since it was sent", func(t *testing.T, f *folder) {
			f.write("in.csv", strings.Replace(sample, "Spring sale", "Spring", 1))
		}, `id "spring": it was sent with other values`},
		{"the journal is gone", func(t *testing.T, f *folder) {
			require.NoError(t, os.Remove("results.csv.journal"))
		}, "move the first away"},
		{"the journal is damaged", func(t *testing.T, f *folder) {
			f.write("results.csv.journal", "{\"event\":\"account\"}\nnonsense\n")
		}, "line 2 is damaged"},
		{"the journal is of the fake", func(t *testing.T, f *folder) {
			f.write("results.csv.journal", "{\"event\":\"fake\"}\n")
		}, "another kind of account"},
		{"the first run is still there", func(t *testing.T, f *folder) {
			j, err := openJournal("results.csv", true)
			require.NoError(t, err)
			t.Cleanup(func() { j.file.Close() })
			_, err = os.ReadFile("results.csv.journal")
			assert.NoError(t, err, "it can be read meanwhile")
		}, "another run is using it"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inFolder(t, func(t *testing.T, f *folder) {
				require.Equal(t, 0, f.batch(t.Context()).code)
				c.between(t, f)
				got := f.batch(t.Context())
				assert.Equal(t, 2, got.code, got.stderr)
				assert.Contains(t, got.stderr, c.says)
				assert.Equal(t, 4.0, f.api.Charged())
			})
		})
	}
}

func TestNothingIsSentWithoutAJournal(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		rows, err := readRows(strings.NewReader(sample))
		require.NoError(t, err)
		j, err := openJournal("results.csv", true)
		require.NoError(t, err)
		j.file.Close() // so that a write fails, as on a full disk
		client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(f.api.HTTPClient()))
		require.NoError(t, err)
		var out bytes.Buffer
		b := &batch{client: client, tracker: client.Jobs.NewTracker(creatify.TrackerOptions{}), journal: j, rows: rows, progress: newProgress(&out, 4)}
		b.run(t.Context())
		assert.Equal(t, 3, b.report("results.csv", &out, &out))
		assert.Contains(t, out.String(), "journal cannot be written")
		assert.Zero(t, f.api.Calls(""), "requests sent")
	})
}

func TestWithoutAnAccountTheFakeIsUsed(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		f.args = nil
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		first := f.batch(ctx)
		assert.Equal(t, 3, first.code, first.stderr)
		assert.Contains(t, first.stderr, "running against the built-in fake API, nothing is charged")

		f.api = creatifytest.New(creatifytest.Config{Seed: 1})
		second := f.batch(t.Context())
		assert.Equal(t, 0, second.code, second.stderr)
		assert.Equal(t, f.api.Jobs()[0], f.result("spring", "job"), "jobs of a fake that is gone are made anew")
	}, "", "")
}

func TestHalfAnAccountIsBadUsage(t *testing.T) {
	for _, half := range [][]string{{creatifytest.APIID, ""}, {"", creatifytest.APIKey}} {
		inFolder(t, func(t *testing.T, f *folder) {
			got := f.batch(t.Context())
			assert.Equal(t, 2, got.code)
			assert.Contains(t, got.stderr, "one is missing")
			assert.Zero(t, f.api.Calls(""))
		}, half...)
	}
}

func TestHelpExitsWithZero(t *testing.T) {
	inFolder(t, func(t *testing.T, f *folder) {
		got := f.batch(t.Context(), "-h")
		assert.Equal(t, 0, got.code)
		for _, text := range []string{"-in file", "-out file", "-budget credits", "-length", "Exit codes"} {
			assert.Contains(t, got.stderr, text)
		}
	})
}

func TestTheGeneratedFileIsThatOfTheFakesTemplates(t *testing.T) {
	server := httptest.NewServer(creatifytest.New(creatifytest.Config{}))
	defer server.Close()
	command := exec.Command("go", "run", "github.com/creatify-community/creatify-go/cmd/creatify-gen", "-check", "-out", "templates_gen.go")
	command.Env = append(os.Environ(), "GOPACKAGE=main", "CREATIFY_BASE_URL="+server.URL,
		"CREATIFY_API_ID="+creatifytest.APIID, "CREATIFY_API_KEY="+creatifytest.APIKey)
	said, err := command.CombinedOutput()
	assert.NoError(t, err, "%s", said)
}

var ids = []string{"spring", "summer", "autumn", "winter"}

// folder is a working directory with a file of rows, and an API.
type folder struct {
	t    *testing.T
	api  *creatifytest.API
	args []string
}

type output struct {
	code           int
	stdout, stderr string
}

// inFolder runs a test in a folder and a bubble of its own. The account, an ID and a key, is the fake's unless given.
func inFolder(t *testing.T, test func(t *testing.T, f *folder), account ...string) {
	t.Helper()
	if account == nil {
		account = []string{creatifytest.APIID, creatifytest.APIKey}
	}
	t.Setenv("CREATIFY_API_ID", account[0])
	t.Setenv("CREATIFY_API_KEY", account[1])
	t.Setenv("CREATIFY_BASE_URL", "")
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		f := &folder{t, creatifytest.New(creatifytest.Config{}), []string{"-in=in.csv", "-budget=20"}}
		f.write("in.csv", sample)
		test(t, f)
		files, err := filepath.Glob("*")
		require.NoError(t, err)
		for _, name := range files {
			text, _ := os.ReadFile(name)
			assert.NotContains(t, string(text), creatifytest.APIKey, "the key is in %s", name)
			assert.NotContains(t, name, ".tmp")
		}
	})
}

// batch runs the program, with the API as the fake and as what the account is at.
func (f *folder) batch(ctx context.Context, args ...string) output {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, append(slices.Clip(f.args), args...), &stdout, &stderr, f.api, creatify.WithHTTPClient(f.api.HTTPClient()))
	assert.NotContains(f.t, stdout.String()+stderr.String(), creatifytest.APIKey, "the key is shown")
	return output{code, stdout.String(), stderr.String()}
}

func (f *folder) write(name, text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(name, []byte(text), 0o644))
}

// result is a cell of the results.
func (f *folder) result(id, column string) string {
	f.t.Helper()
	file, err := os.Open("results.csv")
	require.NoError(f.t, err)
	defer file.Close()
	table, err := csv.NewReader(file).ReadAll()
	require.NoError(f.t, err)
	for _, record := range table {
		for i, name := range table[0] {
			if record[0] == id && name == column {
				return record[i]
			}
		}
	}
	f.t.Fatalf("the results have no %s of %s", column, id)
	return ""
}
