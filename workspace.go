package creatify

import (
	"context"
	"fmt"
	"math"
	"strconv"
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
		if string(name) != "remaining_credits" {
			return
		}
		var err error
		if credits, err = strconv.ParseFloat(strings.TrimSpace(v.string()), 64); err != nil {
			credits = math.NaN() // and not 0, as number has it
		}
	})
	if !whole || math.IsNaN(credits) || math.IsInf(credits, 0) {
		return 0, fmt.Errorf("creatify: GET %s: the reply holds no balance", path)
	}
	return credits, nil
}
