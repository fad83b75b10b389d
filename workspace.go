package creatify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
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
	reply := struct {
		Credits looseNumber `json:"remaining_credits"`
	}{looseNumber(math.NaN())}
	if err := json.Unmarshal(body, &reply); err != nil {
		return 0, fmt.Errorf("creatify: GET %s: the reply is not what is documented: %w", path, err)
	}
	if math.IsNaN(float64(reply.Credits)) {
		return 0, fmt.Errorf("creatify: GET %s: the reply holds no balance", path)
	}
	return float64(reply.Credits), nil
}
