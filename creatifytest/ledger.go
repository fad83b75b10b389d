package creatifytest

import (
	"math"
	"net/http"
	"slices"
	"time"
)

// Charge is one deduction from the credits. A test that maps each charge to an order, by [Request.Reference]
// or the job's name, can check that no order was charged twice.
type Charge struct {
	JobID   string
	Credits float64
	At      time.Time
	Request // that created the job; for a render its Call is CallRender
}

// Charges returns all charges, oldest first, including those whose response was lost. The charge of a job
// with [Life.PerRead] has the real time.
func (a *API) Charges() []Charge {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.charges)
}

// Charged returns the sum of all charges, in credits. For each 30 s of video or part of them, a preview costs
// 1 credit, a video without a preview 5, and a render 4. With the model aurora_v1 a video or render costs 1
// credit per second instead, with aurora_v1_fast half a credit: these prices are documented, but not how
// models and calls combine. A job is charged in full when it is accepted.
func (a *API) Charged() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.charged
}

// Credits returns the balance.
func (a *API) Credits() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.credits
}

// AddCredits adds to the balance. If credits is negative, it subtracts, down to 0. NaN changes nothing.
func (a *API) AddCredits(credits float64) {
	if math.IsNaN(credits) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.credits = min(max(a.credits+credits, 0), math.MaxFloat64)
}

// charge deducts a price from the credits. The caller has checked that they suffice, and still holds the
// mutex.
func (a *API) charge(jobID string, request Request, credits float64) {
	a.credits -= credits
	a.charged += credits
	a.charges = append(a.charges, Charge{JobID: jobID, Credits: credits, At: time.Now(), Request: request})
}

func insufficientCredits() *response {
	return new(detail(http.StatusPaymentRequired, "Insufficient credits."))
}

// price returns the credits for a call, from https://docs.creatify.ai/billing.
func price(call Call, model string, seconds float64) float64 {
	begun := math.Ceil(seconds / 30)
	switch {
	case call == CallCreatePreview || call == CallPreviewSync:
		return begun
	case model == auroraV1:
		return seconds
	case model == auroraV1Fast:
		return seconds / 2
	case call == CallRender:
		return 4 * begun
	default:
		return 5 * begun
	}
}
