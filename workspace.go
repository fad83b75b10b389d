package creatify

import (
	"context"
	"fmt"
	"math"
	"strings"
)

// WorkspaceService reads what concerns the account as a whole. It is [Client.Workspace].
type WorkspaceService struct {
	api *api
}

// RemainingCredits returns the account's balance, in credits. It costs nothing. A reply without a balance is an error,
// never 0.
//
// API page: https://docs.creatify.ai/api-reference/workspace/get-remainingcredits
func (s *WorkspaceService) RemainingCredits(ctx context.Context) (float64, error) {
	const path = "/api/remaining_credits/"
	if s == nil {
		s = new(WorkspaceService)
	}
	if err := s.api.check(ctx); err != nil {
		return 0, err
	}
	body, err := s.api.get(ctx, path, false)
	if err != nil {
		return 0, err
	}
	credits := math.NaN()
	whole := members(body, func(name []byte, v value) {
		// An error is an error, never 0, which is what number makes of it.
		if n := v.number(); string(name) == "remaining_credits" && (n != 0 || strings.HasPrefix(v.string(), "0")) {
			credits = n
		}
	})
	if !whole || math.IsNaN(credits) {
		return 0, fmt.Errorf("creatify: GET %s: the reply holds no balance", path)
	}
	return credits, nil
}
