package durable

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	creatify "github.com/creatify-community/creatify-go"
)

// Kind is the paid call that an order makes.
type Kind string

// The kinds of orders.
const (
	Preview Kind = "preview" // Jobs.CreatePreview
	Video   Kind = "video"   // Jobs.CreateVideo
	Render  Kind = "render"  // Jobs.Render, of the job of the order Of
)

// waits returns the kind of result that an order waits for.
func (k Kind) waits() creatify.JobKind {
	if k == Preview {
		return creatify.KindPreview
	}
	return creatify.KindVideo
}

// State is the state of an order.
type State string

// The states of orders. Done, failed, rejected, refused and cancelled are final. Unknown and expired last
// until a webhook or a person resolves them.
const (
	StateQueued    State = "queued"    // not sent; will be
	StateSending   State = "sending"   // the paid call is under way
	StateWaiting   State = "waiting"   // charged; the job has an ID and is polled
	StateDone      State = "done"      // the job has its output
	StateFailed    State = "failed"    // the job failed
	StateRejected  State = "rejected"  // the job was rejected
	StateRefused   State = "refused"   // the API refused the call; not charged
	StateExpired   State = "expired"   // the wait ended before the job did; charged, and JobID is kept
	StateUnknown   State = "unknown"   // perhaps charged; never sent again unless a person says so
	StateCancelled State = "cancelled" // cancelled before it was sent, or abandoned
)

var states = []State{StateUnknown, StateExpired, StateSending, StateQueued, StateWaiting, StateDone, StateFailed, StateRejected,
	StateRefused, StateCancelled}

// moving reports whether the queue itself moves an order in this state.
func (s State) moving() bool { return s == StateQueued || s == StateSending || s == StateWaiting }

// Order is one paid call and the wait for what it makes.
type Order struct {
	ID       string             // the caller's key, at most 200 characters; a second Submit changes nothing
	Kind     Kind               // the paid call
	Of       string             // the preview order that a Render follows; empty for the other kinds
	Params   creatify.JobParams // zero for a Render
	Priority int                // from 1, the first to be sent, to 4; 0 is 2
	MaxWait  time.Duration      // longest wait for the job; 0 is 24 h

	// The queue sets the rest.

	State   State
	JobID   string        // empty while no job is known
	Reason  string        // a word of creatify.Reason, interrupted or quarantined; of an end, the API's own words
	Job     *creatify.Job // the job at its end; nil before
	Credits float64       // the estimate, then what the job has used
	Created time.Time     // when it was submitted
	Sent    time.Time     // when the latest paid call began; zero before
	Ended   time.Time     // zero until it is over
}

const (
	maxID           = 200
	defaultPriority = 2
	defaultMaxWait  = 24 * time.Hour
)

// check sets the defaults of a new order, and returns all of its problems as one error.
func (o *Order) check(ownWebhook bool) error {
	var problems []creatify.Problem
	refuse := func(field, format string, args ...any) {
		problems = append(problems, creatify.Problem{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if o.ID == "" {
		refuse("ID", "is empty; it makes a second Submit harmless")
	}
	if utf8.RuneCountInString(o.ID) > maxID || !utf8.ValidString(o.ID) || strings.ContainsFunc(o.ID, isControl) {
		refuse("ID", "must be at most %d characters without control characters", maxID)
	}
	switch o.Kind {
	case Render:
		if o.Of == "" {
			refuse("Of", "is empty; a Render names the preview order that it follows")
		}
		if params, _ := json.Marshal(o.Params); string(params) != noParams {
			refuse("Params", "must be empty; a Render uses those of its preview")
		}
	case Preview, Video:
		if o.Of != "" {
			refuse("Of", "is for a Render only")
		}
		if o.Params.WebhookURL != "" && ownWebhook {
			refuse("Params.WebhookURL", "must be empty; the queue sets its own")
		}
		if err := o.Params.Validate(); err != nil {
			problems = append(problems, problemsOf(err)...)
		}
	default:
		refuse("Kind", "must be durable.Preview, Video or Render, not %q", string(o.Kind))
	}
	if o.Priority < 0 || o.Priority > 4 {
		refuse("Priority", "must be from 1 to 4, or 0 for %d, not %d", defaultPriority, o.Priority)
	}
	if o.MaxWait < 0 {
		refuse("MaxWait", "must not be negative: %v", o.MaxWait)
	}
	if o.Priority == 0 {
		o.Priority = defaultPriority
	}
	if o.MaxWait == 0 {
		o.MaxWait = defaultMaxWait
	}
	if len(problems) > 0 {
		return &creatify.ValidationError{Problems: problems}
	}
	return nil
}

// noParams is the zero JobParams in JSON.
const noParams = `{"template_id":"","variables":null}`

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// row is an order as it is stored.
type row struct {
	Order
	fence     int64  // counts the claims; the holder of the latest may write the outcome of its call
	token     string // of the latest claim, made before it
	epoch     int64  // counts the River jobs; one with an older epoch has nothing to do
	version   int64  // counts the writes
	reference string // random; in the webhook's URL
	wait      []byte // the Poller's state
	estimate  float64
	extra     int // known charges beyond the order's own
	digest    string
}

// Event is one line of an order's history.
type Event struct {
	Time   time.Time `json:"time"`
	Who    string    `json:"who,omitempty"`    // a person as the caller named them; empty for the queue
	What   string    `json:"what"`             // the transition's name, or the state that ended the order
	Detail string    `json:"detail,omitempty"` // may name a job or an error
}

// Counts is a summary of the queue.
type Counts struct {
	Orders map[State]int
	// Extra is how many charges are known beyond those of the orders, after a Resend or an Abandon.
	Extra int
	// Credits is what all orders have used or reserved.
	Credits float64
	// Paused is why nothing is sent: a word of [creatify.Reason]; empty if orders are sent. While paused, one
	// order is tried each minute.
	Paused string
	// PausedSince is when the pause began; zero if orders are sent.
	PausedSince time.Time
	// OldestQueued is when the oldest queued order was submitted; zero if there is none.
	OldestQueued time.Time
	// OldestUnknown is when the oldest call of unknown outcome was made; zero if there is none.
	OldestUnknown time.Time
	// Slots is how many of [Options.Sends] are in use: paid calls under way in all processes.
	Slots int
	// Replicas is how many processes run the queue. One that was killed counts for up to 90 s more.
	Replicas int
	// FailingSince is when this process's polls began to fail together; zero when they do not.
	FailingSince time.Time
}
