package cli

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/examples/internal/screen"
	"github.com/stretchr/testify/assert"
)

func TestProgress_on_a_terminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := &screen.Screen{Columns: 50}
		p := NewProgress(terminal)
		p.Show(-1, "waiting for the API")
		time.Sleep(2500 * time.Millisecond)
		assert.Equal(t, []string{"waiting for the API  2s"}, terminal.Lines(), "the time passes by itself")
		p.Say("Job 1 is created.")
		assert.Equal(t, []string{"Job 1 is created.", "waiting for the API  2s"}, terminal.Lines(), "what is said stays above")
		p.Show(0.25, "running")
		assert.Equal(t, "running █████░░░░░░░░░░░░░░░ 25 %  2s", terminal.Lines()[1])
		p.Show(0.5, "30 done, 4 under way, 40 queued")
		assert.Equal(t, "30 done, 4 under way, 40 queued 50 %  2s", terminal.Lines()[1], "there is no room for the bar")
		p.Show(0.5, "a status that is longer than the terminal has room for")
		assert.Equal(t, "a status that is longer than the terminal has ro…", terminal.Lines()[1])
		p.Show(1.5, "done\x1b[2J")
		p.Stop()
		assert.Equal(t, []string{"Job 1 is created.", "done?[2J ████████████████████ 100 %  2s"}, terminal.Lines())
	})
}

func TestProgress_elsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(&out)
		p.Show(-1, "waiting")
		p.Show(-1, "waiting")
		time.Sleep(25 * time.Second)
		p.Show(0.5, "running")
		time.Sleep(8500 * time.Millisecond)
		for i := range 1000 {
			p.Show(0.5+float64(i)/2000, "running")
			time.Sleep(time.Millisecond)
		}
		_, err := p.Write([]byte("a line of a log\n"))
		assert.NoError(t, err)
		p.Show(1, "done")
		p.Stop()
		p.Stop()
		time.Sleep(time.Minute)
		assert.Equal(t, "0s waiting\n10s waiting\n20s waiting\n25s running 50 %\n33s running 50 %\na line of a log\n34s done 100 %\n",
			out.String())
	})
}
