package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The times that a service has depend on each other.
func TestDefaultTiming(t *testing.T) {
	d := defaultTiming()
	assert.Equal(t, 70*time.Second, d.under())
	assert.Equal(t, 120*time.Second, d.sendTimeout())
	assert.Equal(t, 130*time.Second, d.under()+d.slack, "from when on Resend is allowed")
	work := d.block + d.transaction + d.under()
	assert.LessOrEqual(t, work+20*time.Second, d.sendTimeout(), "a send ends by itself before River takes it for stuck")
	assert.Less(t, d.pollTurn+d.poll, d.pollTimeout, "a poll that hangs fails by itself")
	assert.Less(t, d.pollTimeout, d.rescue, "a poll is over before another process makes it")
	assert.Less(t, d.late()+d.under(), d.under()+d.slack, "a late claim does not call once Resend is allowed")
	assert.LessOrEqual(t, d.softStop+d.grace+d.transaction, 45*time.Second, "what Run says about its end")
	assert.LessOrEqual(t, d.rescue+50*time.Second, 95*time.Second, "what docs/durable.md says about a poll's process")
}
