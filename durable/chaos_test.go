package durable

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

var chaosFor = flag.Duration("chaos", time.Minute, "how long TestChaos kills processes, for each database")

// points are where a worker can be killed.
var points = []string{"claimed", "answered", "recorded", "polled", "seen", "ended"}

// TestChaos kills one of two worker processes every few seconds, at random and at each point, while 200
// orders pass through.
func TestChaos(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute for each database")
	}
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := newChaos(t, d.dialect)
			kills := c.storm(worker{Sends: 6, Credits: 1000}, 200, *chaosFor, func(n int) (killAt string, skip int) {
				if n%2 == 0 {
					return "", 0
				}
				return points[n/2%len(points)], rand.IntN(5)
			})
			books := c.books()
			for _, violation := range books.violations {
				t.Error(violation)
			}
			assert.GreaterOrEqual(t, kills, 5)
			t.Logf("%d kills, %d orders: %v; %v credits charged", kills, len(c.orders), books.states, c.fake.Charged())
		})
		t.Run(d.name+"/control", func(t *testing.T) {
			t.Parallel()
			c := newChaos(t, d.dialect)
			kills := c.storm(worker{Sends: 6, Control: true}, 60, 20*time.Second, func(int) (string, int) { return "answered", 3 })
			books := c.books()
			assert.NotEmpty(t, books.violations, "a program without the claim passes")
			t.Logf("control: %d kills, %d violations, such as %q", kills, len(books.violations), books.violations)
		})
	}
}

type chaos struct {
	t      *testing.T
	fake   *api
	at     place
	queue  *Queue // of the test's own process, which submits only
	client *creatify.Client

	mu     sync.Mutex
	orders []string
}

func newChaos(t *testing.T, d Dialect) *chaos {
	c := &chaos{t: t, at: newPlace(t, d)}
	c.fake = newAPI(t, creatifytest.Config{Credits: 1e6, Life: creatifytest.Life{Duration: 2 * time.Second,
		Render: creatifytest.RenderLife{Duration: 4 * time.Second}}})
	for _, call := range []creatifytest.Call{creatifytest.CallCreatePreview, creatifytest.CallRender} {
		require.NoError(t, c.fake.Inject(creatifytest.Fault{Call: call, Times: -1, Delay: 100 * time.Millisecond}))
	}
	c.client = c.fake.client(t)
	c.queue = c.at.queue(t, quickOptions(c.client))
	return c
}

// storm runs two workers and kills them, while n orders are submitted. It returns how often it killed, when
// every order rests.
func (c *chaos) storm(w worker, n int, howLong time.Duration, plan func(n int) (killAt string, skip int)) (kills int) {
	w.Place, w.URL = c.at, c.fake.url
	start := func(i int) *exec.Cmd {
		w.KillAt, w.Skip = plan(i)
		return w.start(c.t)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), howLong)
	defer cancel()
	var submitting sync.WaitGroup
	submitting.Go(func() { c.submit(n, howLong*2/3) })
	workers := []*exec.Cmd{start(0), start(1)}
	for i := 2; ctx.Err() == nil; i++ {
		_ = sleep(ctx, howLong/time.Duration(max(6, howLong/(8*time.Second))))
		victim := workers[i%2]
		_ = victim.Process.Kill() // or it has killed itself before
		_ = victim.Wait()
		kills++
		workers[i%2] = start(i)
	}
	submitting.Wait()
	w.KillAt = ""
	for _, dying := range workers {
		_ = dying.Process.Kill()
		_ = dying.Wait()
		w.start(c.t)
	}
	kills += len(workers)
	c.rest()
	return kills
}

// submit submits previews, and a render of each third one that is done.
func (c *chaos) submit(n int, howLong time.Duration) {
	add := func(order Order) {
		if order.Kind == Preview {
			order.Params.Name = order.ID
		}
		if assert.Eventually(c.t, func() bool { // as a caller does whose first Submit times out
			_, err := c.queue.Submit(context.Background(), order)
			return err == nil
		}, patience, 100*time.Millisecond) {
			c.mu.Lock()
			c.orders = append(c.orders, order.ID)
			c.mu.Unlock()
		}
	}
	var rendered int
	for i := range n {
		id := fmt.Sprintf("order-%d", i)
		add(previewOrder(id))
		if old, err := c.queue.Get(context.Background(), fmt.Sprintf("order-%d", rendered)); err == nil && i%2 == 1 {
			if old.State == StateDone {
				add(Order{ID: old.ID + "-video", Kind: Render, Of: old.ID})
			}
			rendered++
		}
		time.Sleep(howLong / time.Duration(n))
	}
}

// rest waits until no order moves.
func (c *chaos) rest() {
	deadline := time.Now().Add(3 * time.Minute)
	for {
		counts, err := c.queue.Counts(context.Background())
		require.NoError(c.t, err)
		if counts.Orders[StateQueued]+counts.Orders[StateSending]+counts.Orders[StateWaiting] == 0 {
			return
		}
		require.True(c.t, time.Now().Before(deadline), "the orders do not come to rest: %v", counts.Orders)
		time.Sleep(200 * time.Millisecond)
	}
}

type books struct {
	states     map[State]int
	violations []string
}

// books compares the orders with what the fake has charged.
func (c *chaos) books() books {
	ctx := context.Background()
	charges := map[string][]string{} // the jobs of each order that was charged
	for _, charge := range c.fake.Charges() {
		id := charge.Name
		if charge.Call == creatifytest.CallRender {
			id += "-video"
		}
		charges[id] = append(charges[id], charge.JobID)
	}
	b := books{states: map[State]int{}}
	violate := func(format string, args ...any) { b.violations = append(b.violations, fmt.Sprintf(format, args...)) }
	credits := 0.0
	for _, id := range c.orders {
		order, err := c.queue.Get(ctx, id)
		require.NoError(c.t, err)
		b.states[order.State]++
		credits += order.Credits
		n := len(charges[id])
		switch {
		case n > 1:
			violate("%s was charged %d times", id, n)
		case n == 1 && order.State != StateDone && order.State != StateUnknown:
			violate("%s was charged and is %s", id, order.State)
		case n == 0 && order.State != StateUnknown:
			violate("%s was not charged and is %s", id, order.State)
		case order.State == StateDone && order.JobID != charges[id][0]:
			violate("%s has job %s, not %s", id, order.JobID, charges[id][0])
		}
	}
	counts, err := c.queue.Counts(ctx)
	require.NoError(c.t, err)
	if counts.Credits != credits {
		violate("the budget says %v and the orders %v", counts.Credits, credits)
	}
	if c.fake.Charged() > credits {
		violate("charged %v, and the orders hold %v", c.fake.Charged(), credits)
	}
	return b
}
