package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The states of a row, which are the events of the journal.
const (
	open     = "open"     // not made: not sent yet, or it did not leave, or the budget did not cover it
	refused  = "refused"  // not made: the API turned it away, and did not charge it
	creating = "creating" // about to be sent: after a crash, it may have been paid
	created  = "created"  // there is a job, which is not known to have ended
	unknown  = "unknown"  // may have been paid; never sent again
	done     = "done"
	failed   = "failed"
	rejected = "rejected"
)

// event is one line of the journal, and the last one about a row is the row's state.
type event struct {
	At      time.Time `json:"at"`
	Event   string    `json:"event"`
	Row     string    `json:"row,omitempty"`
	Sum     string    `json:"sum,omitempty"` // the row's when it was sent
	Job     string    `json:"job,omitempty"`
	Preview string    `json:"preview,omitempty"`
	Credits float64   `json:"credits,omitempty"`
	Reason  string    `json:"reason,omitempty"`
}

func (e event) mayBeSent() bool { return e.Event == open || e.Event == refused }

// journal is a file to which events are only appended, each of them on disk before anything follows from it.
type journal struct {
	mu   sync.Mutex
	file *os.File
	rows map[string]event
	jobs map[string]string // the row of each job
	err  error             // the first one; nothing is written after it
}

// openJournal reads the journal that belongs to a file of results, or begins it. One of the fake and one of an account do
// not mix.
func openJournal(results string, account bool) (*journal, error) {
	path := results + ".journal"
	_, noJournal := os.Stat(path)
	if _, err := os.Stat(results); err == nil && errors.Is(noJournal, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s exists, but not %s, which says what was paid: move the first away, or bring the second back",
			results, path)
	}
	// Without O_APPEND, with which Windows would not let it be truncated.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // it holds no secret
	if err != nil {
		return nil, err
	}
	j := &journal{file: file, rows: make(map[string]event), jobs: make(map[string]string)}
	if err := j.begin(account); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, file.Close()))
	}
	return j, nil
}

func (j *journal) begin(account bool) error {
	if err := lock(j.file); err != nil {
		return fmt.Errorf("another run is using it: %w", err)
	}
	text, err := io.ReadAll(j.file)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	kind := map[bool]string{true: "account", false: "fake"}[account]
	for i, line := range bytes.Split(text[:whole], []byte("\n")) {
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil:
			return fmt.Errorf("line %d is damaged", i+1)
		case i == 0 && e.Event != kind:
			return fmt.Errorf("it is of a run with another kind of account (%s, not %s): give another -out", e.Event, kind)
		case i > 0:
			j.fold(e)
		}
	}
	// A line that is cut was not on disk yet, so that nothing followed from it.
	if err := j.file.Truncate(int64(whole)); err != nil {
		return err
	}
	if _, err := j.file.Seek(int64(whole), io.SeekStart); err != nil {
		return err
	}
	if whole == 0 {
		if err := errors.Join(j.record(event{Event: kind}), syncFolder(j.file.Name())); err != nil {
			return err
		}
	}
	for _, e := range j.rows {
		switch {
		case !account && (e.Event == creating || e.Event == created):
			err = j.record(event{Event: open, Row: e.Row}) // its job ended with the fake
		case e.Event == creating:
			e.Event, e.Reason = unknown, "the program ended while the job was being created"
			err = j.record(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) fold(e event) {
	if before := j.rows[e.Row]; e.Event != creating {
		e.Sum = before.Sum
		if e.Event == created && before.Event == created {
			e.At = before.At
		}
	}
	j.rows[e.Row] = e
	j.jobs[jobKey(e.Job)] = e.Row
}

// jobKey is the same for an ID in another spelling of the same UUID, in which the API may come back to it.
func jobKey(id string) string { return strings.ToLower(strings.ReplaceAll(id, "-", "")) }

func (j *journal) rowOf(job string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.jobs[jobKey(job)]
}

// record puts an event on disk. What cannot be put there still counts for the results.
func (j *journal) record(e event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.At = time.Now().UTC()
	if e.Row != "" {
		j.fold(e)
	}
	if j.err == nil {
		line, err := json.Marshal(e)
		if err == nil {
			_, err = j.file.Write(append(line, '\n'))
		}
		j.err = cmp.Or(err, j.file.Sync())
	}
	return j.err
}

// row returns the state of a row.
func (j *journal) row(id string) event {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.rows[id]; ok {
		return e
	}
	return event{Event: open, Row: id}
}

// changed reports the rows that have been sent with other values than they have now.
func (j *journal) changed(rows []row) error {
	var problems []error
	for _, r := range rows {
		if e := j.row(r.id); !e.mayBeSent() && e.Sum != r.sum {
			problems = append(problems, fmt.Errorf("id %q: it was sent with other values (it is %s): give a changed row a new id", r.id, e.Event))
		}
	}
	return errors.Join(problems...)
}

// spent is what all rows may have cost so far, where the estimate stands in for what is not known.
func (j *journal) spent(estimate float64) (credits float64) {
	for _, e := range j.rows {
		if !e.mayBeSent() {
			credits += cmp.Or(e.Credits, estimate)
		}
	}
	return credits
}

// writeResults replaces the file of results in one step.
func (j *journal) writeResults(path string, rows []row) error {
	var text bytes.Buffer
	table := [][]string{{"id", "status", "preview", "reason", "job"}}
	for _, r := range rows {
		e := j.row(r.id)
		table = append(table, []string{r.id, e.Event, e.Preview, e.Reason, e.Job})
	}
	if err := csv.NewWriter(&text).WriteAll(table); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".results-*.tmp")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // after the rename, there is none
	_, err = temp.Write(text.Bytes())
	if err := errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// syncFolder makes sure of a new file's name, where the system can.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	_ = folder.Sync()
	return folder.Close()
}

// counts says how many of the rows are in each state.
func (j *journal) counts(rows []row) map[string]int {
	n := make(map[string]int)
	for _, r := range rows {
		n[j.row(r.id).Event]++
	}
	return n
}
