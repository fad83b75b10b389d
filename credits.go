package creatify

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// Operation is something that costs credits.
type Operation string

// The operations that cost credits, and the calls that are them.
const (
	OperationPreview Operation = "preview" // CreatePreview, CreatePreviewSync, Preview
	OperationVideo   Operation = "video"   // CreateVideo
	OperationRender  Operation = "render"  // Render, of a job that has a preview
)

// priceBlock is what prices are per; a part of it is charged as a whole, as far as can be told.
const priceBlock = 30 * time.Second

// EstimateCredits says what an operation costs for a video of some length, and whether the documentation says so.
//
// The documented prices, as of 2026-11-23, per started 30 s of video: 1 credit for a preview, 5 for a video without a
// preview, 4 for rendering a job that has a preview; and for a video with the models aurora_v1 and aurora_v1_fast, 1 and
// 0.5 credits per second (https://docs.creatify.ai/billing, and the pages of the calls). Not documented is what those two
// models make of the price of a preview and of a rendering, what another model costs, and whether a started block counts
// as a whole. Then the estimate is the dearer of what it may be, and documented is false. An unknown operation or a
// negative length costs 0, undocumented.
func EstimateCredits(operation Operation, model ModelVersion, length time.Duration) (credits float64, documented bool) {
	perBlock := map[Operation]float64{OperationPreview: 1, OperationVideo: 5, OperationRender: 4}[operation]
	if perBlock == 0 || length < 0 {
		return 0, false
	}
	blocks := math.Ceil(float64(length) / float64(priceBlock))
	perSecond := map[ModelVersion]float64{ModelAuroraV1: 1, ModelAuroraV1Fast: 0.5}[model]
	switch {
	case model == "" || model == ModelStandard:
		return perBlock * blocks, true
	case perSecond == 0: // an unknown model
		return perBlock * blocks, false
	case operation == OperationVideo:
		return perSecond * length.Seconds(), true
	}
	return max(perBlock*blocks, perSecond*length.Seconds()), false
}

// Budget keeps the paid calls of one client or of several, given to them by [WithBudget], within a number of credits. It is
// asked before each paid call, which it refuses with [ErrBudgetExceeded] before anything is sent. What a call will cost is
// not known then, so its estimate is reserved; it is settled when the client sees the job's end with the credits that it
// used. A call that was refused by the server, or never left, gives back what was reserved; one whose outcome is unknown
// counts as spent. It is safe for concurrent use.
//
// A Budget is a guard against mistakes, not an account: it does not know what others spend, what a job used before the budget
// had to do with it counts as well, and the API has the last word. It keeps a few dozen bytes for every job.
type Budget struct {
	mu     sync.Mutex
	limit  float64
	length time.Duration
	spent  float64 // reserved or settled
	jobs   map[string]*jobSpending
}

type jobSpending struct {
	credits float64   // reserved or settled
	settled float64   // what the job said that it used, when it was settled last
	waitFor Operation // whose end settles it; empty when it is settled
}

// NewBudget makes a budget of so many credits. Estimates are for videos of the given length; 0 means 30 s. A budget that is
// negative or no number is empty.
func NewBudget(credits float64, length time.Duration) *Budget {
	if !(credits > 0) {
		credits = 0
	}
	if length <= 0 {
		length = priceBlock
	}
	return &Budget{limit: credits, length: length, jobs: make(map[string]*jobSpending)}
}

// WithBudget lets the budget decide about each paid call of the client. Several clients may share one.
func WithBudget(budget *Budget) Option {
	return func(c *config) {
		if budget == nil || budget.jobs == nil {
			c.refuse("WithBudget", "the budget was not made by NewBudget")
		}
		c.budget = budget
	}
}

// Remaining is what is left, in credits: neither spent nor reserved. It may be below zero, when jobs used more than was
// estimated.
func (b *Budget) Remaining() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit - b.spent
}

// Spent is what is spent or reserved, in credits.
func (b *Budget) Spent() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// reservation is what one paid call holds of a budget, until its outcome is known. The zero value holds nothing.
type reservation struct {
	budget    *Budget
	operation Operation
	credits   float64
}

// reserve asks for what a call may cost. A nil budget allows everything.
func (b *Budget) reserve(operation Operation, model ModelVersion) (reservation, error) {
	if b == nil {
		return reservation{}, nil
	}
	credits, _ := EstimateCredits(operation, model, b.length)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent+credits > b.limit+1e-9 { // a sum of fractions
		return reservation{}, fmt.Errorf("%w: a %s may cost %v credits, and %v of %v are left; nothing was sent", ErrBudgetExceeded,
			operation, credits, max(b.limit-b.spent, 0), b.limit)
	}
	b.spent += credits
	return reservation{b, operation, credits}, nil
}

// release gives back what a call that took no effect held.
func (r reservation) release() {
	if r.budget == nil {
		return
	}
	r.budget.mu.Lock()
	defer r.budget.mu.Unlock()
	r.budget.spent -= r.credits
}

// assign ties what a call holds to the job that it was for.
func (r reservation) assign(id string) {
	if r.budget == nil {
		return
	}
	r.budget.mu.Lock()
	defer r.budget.mu.Unlock()
	job := r.budget.jobs[foldID(id)]
	if job == nil {
		job = &jobSpending{}
		r.budget.jobs[foldID(id)] = job
	}
	job.credits += r.credits
	job.waitFor = r.operation
}

// settle takes in what a job says that it used, once what was paid for last has ended. A job that says no more than it said
// before may be charged later, so that the estimate stays.
func (b *Budget) settle(job *Job) {
	if b == nil || job.broken {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.jobs[foldID(job.ID)]
	if s == nil || s.waitFor == "" || job.CreditsUsed <= s.settled {
		return
	}
	failed := job.Status == StatusFailed || job.Status == StatusRejected
	ready := job.Status == StatusDone && (s.waitFor == OperationPreview && job.Preview != "" || job.VideoOutput != "")
	if failed || ready {
		b.spent += job.CreditsUsed - s.credits
		s.credits, s.settled, s.waitFor = job.CreditsUsed, job.CreditsUsed, ""
	}
}

// WorkspaceService reads what concerns the account as a whole. It is [Client.Workspace].
type WorkspaceService struct {
	api *api
}

// RemainingCredits returns the account's balance, in credits. It costs nothing. A response without a balance is an error,
// never 0.
//
// API page: https://docs.creatify.ai/api-reference/workspace/get-remainingcredits
func (s *WorkspaceService) RemainingCredits(ctx context.Context) (float64, error) {
	call := transport.Call{Name: "remaining_credits", Path: "/api/remaining_credits/"}
	if err := s.api.check(ctx); err != nil {
		return 0, err
	}
	response, err := s.api.get(ctx, call)
	if err != nil {
		return 0, err
	}
	credits := math.NaN()
	whole := lenient.Members(response.Body, func(name []byte, v lenient.Value) {
		if string(name) != "remaining_credits" {
			return
		}
		var err error
		if credits, err = strconv.ParseFloat(strings.TrimSpace(v.String()), 64); err != nil {
			credits = math.NaN() // and not 0, as number has it
		}
	})
	if !whole || math.IsNaN(credits) || math.IsInf(credits, 0) {
		return 0, unreadable(call, "the response holds no balance")
	}
	return credits, nil
}
