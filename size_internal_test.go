package creatify

import (
	"testing"
	"unsafe"

	"github.com/creatify-community/creatify-go/internal/wait"
)

func TestSizes(t *testing.T) {
	t.Log("Job", unsafe.Sizeof(Job{}), "tracked", unsafe.Sizeof(tracked{}), "Poller", unsafe.Sizeof(Poller{}), "State", unsafe.Sizeof(wait.State{}), "PendingJob", unsafe.Sizeof(PendingJob{}), "trackKey", unsafe.Sizeof(trackKey{}))
}
