package creatify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bareJob is a job as somebody would write it who calls the API by hand.
type bareJob struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Variables map[string]struct {
		Type       string         `json:"type"`
		Properties map[string]any `json:"properties"`
	} `json:"variables"`
	MediaJob     *string `json:"media_job"`
	VideoOutput  *string `json:"video_output"`
	Preview      *string `json:"preview"`
	EditorURL    *string `json:"editor_url"`
	FailedReason *string `json:"failed_reason"`
	CreditsUsed  float64 `json:"credits_used"`
	Duration     float64 `json:"duration"`
	Status       string  `json:"status"`
	Progress     float64 `json:"progress"`
	Name         *string `json:"name"`
	WebhookURL   *string `json:"webhook_url"`
	ModelVersion string  `json:"model_version"`
	IsHidden     bool    `json:"is_hidden"`
}

func bareGet(ctx context.Context, client *http.Client, url string) (*bareJob, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-API-ID", creatifytest.APIID)
	req.Header.Set("X-API-KEY", creatifytest.APIKey)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var job bareJob
	return &job, json.Unmarshal(body, &job)
}

// memoryTransport answers every request with the same reply, as cheaply as can be.
func memoryTransport() http.RoundTripper {
	header := http.Header{"Content-Type": {"application/json"}}
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: header, Body: io.NopCloser(strings.NewReader(liveLike)),
			ContentLength: int64(len(liveLike)), Request: req}, nil
	})
}

// BenchmarkGet compares one Get through the client with the same call by hand, with and without the time limit that the
// client gives every attempt.
func BenchmarkGet(b *testing.B) {
	bare := func(timeout time.Duration) func(*testing.B) {
		return func(b *testing.B) {
			client := &http.Client{Transport: memoryTransport(), Timeout: timeout}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bareGet(b.Context(), client, jobURL); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("client", func(b *testing.B) {
		client := newClient(b, memoryTransport())
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.Jobs.Get(b.Context(), jobID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", bare(0))
	b.Run("bare with a time limit", bare(time.Minute))
}

func TestAGetAllocatesLittleMoreThanTheSameCallByHand(t *testing.T) {
	client, byHand := newClient(t, memoryTransport()), &http.Client{Transport: memoryTransport()}
	ours := testing.AllocsPerRun(200, func() {
		_, err := client.Jobs.Get(t.Context(), jobID)
		require.NoError(t, err)
	})
	bare := testing.AllocsPerRun(200, func() {
		_, err := bareGet(t.Context(), byHand, jobURL)
		require.NoError(t, err)
	})
	assert.LessOrEqual(t, ours, 1.5*bare)
}
