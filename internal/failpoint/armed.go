//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// linger is 1.4 times the interval in which offsets are committed. The one that dies waits so long first: what was
// acknowledged too early is really committed by then, and the others go on meanwhile.
const linger = 1400 * time.Millisecond

// plan is what the environment asks for: FAILPOINT=<point>:<n> dies at the n-th hit, FAILPOINT_BUG=<name>,... arms bugs,
// FAILPOINT_LOG=<file> gets a line for each place that is reached.
type plan struct {
	point string
	left  atomic.Int64
	bugs  map[string]bool
	mu    sync.Mutex
	log   *os.File
}

// armed is read once. It is state of the whole process, as the death of a process is; no release has it.
var armed = sync.OnceValue(read) //nolint:gochecknoglobals // see above

func read() *plan {
	p := &plan{bugs: map[string]bool{}}
	point, n, _ := strings.Cut(os.Getenv("FAILPOINT"), ":") //nolint:forbidigo // not in a release
	p.point = point
	hits, err := strconv.ParseInt(n, 10, 64)
	if err != nil || hits < 1 {
		hits = 1
	}
	p.left.Store(hits)
	for name := range strings.SplitSeq(os.Getenv("FAILPOINT_BUG"), ",") { //nolint:forbidigo // not in a release
		p.bugs[name] = name != ""
	}
	if path := os.Getenv("FAILPOINT_LOG"); path != "" { //nolint:forbidigo // not in a release
		if f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil { //nolint:gosec // the test names it
			p.log = f
		}
	}
	return p
}

// Hit ends the process here, where a test asks for it.
func Hit(point string) {
	p := armed()
	p.note(point)
	if p.point != point || p.left.Add(-1) != 0 {
		return
	}
	t := time.NewTimer(linger)
	<-t.C
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		_ = self.Kill() // nothing comes after it
	}
	select {} // until the signal is delivered
}

// Bug reports whether a test has armed the bug of that name.
func Bug(name string) bool { return armed().bugs[name] }

// Reached notes that this place was reached.
func Reached(name string) { armed().note(name) }

func (p *plan) note(name string) {
	if p.log == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.log, name) // a test reads it, and misses it
}
