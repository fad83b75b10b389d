package creatify

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// Operation is a kind of call that costs credits.
type Operation string

// The operations that cost credits, and their calls.
const (
	OperationPreview Operation = "preview" // CreatePreview, CreatePreviewSync, CreatePreviewAndWait
	OperationVideo   Operation = "video"   // CreateVideo, CreateVideoAndWait
	OperationRender  Operation = "render"  // Render, RenderAndWait
)

const priceBlock = 30 * time.Second

// PriceList holds prices as data. Start from [DocumentedPrices] and append your own.
type PriceList struct {
	AsOf   string  // the date of the prices, such as "2026-11-23"
	Source string  // where they were read
	Prices []Price // for an operation and a model, the last one counts
}

// Price is the price of an operation with a model.
type Price struct {
	Operation Operation
	Model     ModelVersion  // empty is ModelStandard
	Credits   float64       // a negative value is no price
	Per       time.Duration // of video, rounded up; 0 is a video of any length
}

// DocumentedPrices returns the prices of Creatify's documentation.
//
// Rounding up to blocks of 30 s is not documented, but a video of 3 s was seen to cost 5 credits. Older pages
// have other prices for aurora_v1: compare with an invoice.
func DocumentedPrices() PriceList {
	return PriceList{
		AsOf:   "2026-11-23",
		Source: "https://docs.creatify.ai/billing and the pages of the calls",
		Prices: []Price{
			{OperationPreview, ModelStandard, 1, priceBlock},
			{OperationVideo, ModelStandard, 5, priceBlock},
			{OperationRender, ModelStandard, 4, priceBlock},
			{OperationVideo, ModelAuroraV1, 1, time.Second},
			{OperationVideo, ModelAuroraV1Fast, 0.5, time.Second},
		},
	}
}

// EstimateCredits returns the credits that an operation costs for a video of this length, and reports whether
// its price is listed. The last matching price counts; without prices, [DocumentedPrices] is used. If none
// matches, the result is the most that any price of the operation or of the model gives. Free.
func EstimateCredits(operation Operation, model ModelVersion, length time.Duration,
	prices ...PriceList) (credits float64, listed bool) {
	if len(prices) == 0 {
		prices = []PriceList{DocumentedPrices()}
	}
	for _, list := range slices.Backward(prices) {
		for _, p := range slices.Backward(list.Prices) {
			price := p.Credits
			if p.Per > 0 {
				price *= math.Ceil(float64(length) / float64(p.Per))
			}
			sameModel := cmp.Or(p.Model, ModelStandard) == cmp.Or(model, ModelStandard)
			switch {
			case !(p.Credits >= 0 && price >= 0 && length >= 0): // no price
			case p.Operation == operation && sameModel:
				return price, true
			case p.Operation == operation || sameModel:
				credits = max(credits, price)
			}
		}
	}
	return credits, false
}

// Budget limits the credits that paid calls may use, over all clients that share it through [WithBudget]. A
// call that may exceed it is refused with [ErrBudgetExceeded]. It is safe for concurrent use.
//
// A call reserves its estimate until it is refused or not sent, or until a read of the ended job within 24 h
// shows the real cost. Spending by others is not seen: the API's accounting is authoritative.
type Budget struct {
	options BudgetOptions
	mu      sync.Mutex
	spent   float64                 // reserved or settled
	jobs    map[string]*jobSpending // by ID, as foldID has it
}

// jobSpending is what is reserved for a job whose end has not been seen.
type jobSpending struct {
	since    time.Time
	model    ModelVersion
	credits  float64 // reserved
	baseline float64 // what the job had used before
	video    bool    // the video is paid for, not only the preview
	calls    int     // under way
}

// A Budget keeps the estimate of a job that is older, or that exceeds this number.
const (
	budgetRemembers = 24 * time.Hour
	maxBudgetJobs   = 100_000
)

// BudgetOptions sets the size of a [Budget].
type BudgetOptions struct {
	Credits     float64       // limit, including Spent
	Spent       float64       // credits spent before, such as by an earlier process
	VideoLength time.Duration // assumed by estimates, unless the job is known to be longer; 0 means 30 s
	Prices      PriceList     // empty means DocumentedPrices
}

// NewBudget returns a budget. Without positive Credits, it refuses every paid call.
func NewBudget(options BudgetOptions) *Budget {
	if !(options.Credits > 0) || math.IsNaN(options.Spent) {
		options.Credits, options.Spent = 0, 0
	}
	if options.VideoLength <= 0 {
		options.VideoLength = priceBlock
	}
	if len(options.Prices.Prices) == 0 {
		options.Prices = DocumentedPrices()
	}
	options.Prices.Prices = slices.Clone(options.Prices.Prices)
	return &Budget{options: options, spent: max(options.Spent, 0), jobs: make(map[string]*jobSpending)}
}

// WithBudget makes the client ask the budget before each paid call. Before a Render it reads the job, whose
// model and duration decide the price. Several clients may share a budget.
func WithBudget(budget *Budget) Option {
	return func(c *config) {
		c.require(budget != nil && budget.jobs != nil, "WithBudget", "the budget was not made by NewBudget")
		c.budget = budget
	}
}

// Spent returns the credits that are spent or reserved, including [BudgetOptions].Spent.
func (b *Budget) Spent() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// reserve reserves the price of a call in the budget, if any. Call the returned function with the result.
func (a *api) reserve(ctx context.Context, call transport.Call, op Operation,
	params JobParams) (end func(*Job, error), err error) {
	if a.budget == nil {
		return func(*Job, error) {}, nil
	}
	job := &Job{ModelVersion: params.ModelVersion}
	if op == OperationRender {
		if job, err = (&JobsService{a}).read(ctx, transport.Call{JobID: call.JobID}); err != nil {
			return nil, &callError{describe(call.Name, call.JobID), true, fmt.Errorf("its price is unknown: %w", err)}
		}
	}
	return a.budget.reserve(op, job)
}

// reserve takes the job as it is before the call. A job that the call creates has no ID yet.
func (b *Budget) reserve(operation Operation, job *Job) (func(*Job, error), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.find(job.ID)
	if s == nil {
		s = &jobSpending{model: job.ModelVersion, baseline: job.CreditsUsed}
	}
	credits, _ := EstimateCredits(operation, s.model, max(b.options.VideoLength, job.Duration), b.options.Prices)
	if limit := b.options.Credits; b.spent+credits > limit+1e-9 { // sums of fractions are inexact
		return nil, fmt.Errorf("%w: a %s with %s may cost %v, and %v of %v credits are left (nothing was sent; raise "+
			"BudgetOptions.Credits, or call again when other jobs have ended)", ErrBudgetExceeded, operation,
			oneLine(string(cmp.Or(s.model, ModelStandard))), credits, max(limit-b.spent, 0), limit)
	}
	if job.ID != "" {
		b.remember(job.ID, s)
	}
	b.spent += credits
	s.credits += credits
	s.calls++
	return func(result *Job, err error) {
		defer b.settle(result)
		b.mu.Lock()
		defer b.mu.Unlock()
		s.calls--
		if Charged(err) == ChargedNo {
			b.spent -= credits
			s.credits -= credits
			if s.calls == 0 && s.credits < 1e-9 {
				delete(b.jobs, foldID(job.ID))
			}
			return
		}
		s.video = s.video || operation != OperationPreview
		if err == nil {
			b.remember(result.ID, s)
		}
	}, nil
}

// find returns what is reserved for a job, or nil.
func (b *Budget) find(id string) *jobSpending {
	if s := b.jobs[foldID(id)]; s != nil && time.Since(s.since) <= budgetRemembers {
		return s
	}
	return nil
}

func (b *Budget) remember(id string, s *jobSpending) {
	for other := range b.jobs {
		if len(b.jobs) < maxBudgetJobs {
			break
		}
		delete(b.jobs, other)
	}
	s.since = time.Now()
	b.jobs[foldID(id)] = s
}

// settle replaces an estimate by what the job has used, once it has ended. If that has not grown, the job may
// be charged later, so the estimate stays.
func (b *Budget) settle(job *Job) {
	if b == nil || job == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s, kind := b.find(job.ID), KindPreview
	if s == nil || s.calls > 0 || job.broken || job.CreditsUsed <= s.baseline {
		return
	}
	if s.video {
		kind = KindVideo
	}
	if over, _ := job.Outcome(kind); over {
		b.spent += job.CreditsUsed - s.baseline - s.credits
		delete(b.jobs, foldID(job.ID))
	}
}

// WorkspaceService reads what belongs to the account as a whole. It is [Client.Workspace].
type WorkspaceService struct {
	api *api
}

// RemainingCredits returns the account's balance, in credits. Free. A response without a balance is an error.
//
// API page: https://docs.creatify.ai/api-reference/workspace/get-remainingcredits
func (s *WorkspaceService) RemainingCredits(ctx context.Context) (float64, error) {
	call := transport.Call{Name: "remaining_credits", Path: "/api/remaining_credits/"}
	response, err := s.api.get(ctx, call)
	if err != nil {
		return 0, err
	}
	var text string
	err = lenient.Read(response.Body, lenient.Fields{"remaining_credits": &text})
	balance, noNumber := strconv.ParseFloat(text, 64)
	if err != nil || noNumber != nil || math.IsNaN(balance) || math.IsInf(balance, 0) {
		return 0, unreadable(call, "the response holds no balance")
	}
	return balance, nil
}
