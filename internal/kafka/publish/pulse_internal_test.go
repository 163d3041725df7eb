package publish

import "testing"

func TestALoopThatEndsByItselfIsStuck(t *testing.T) {
	t.Parallel()
	var p pulse
	p.take()
	p.pass()
	if at := p.stuck(false); !at.IsZero() {
		t.Errorf("stuck since %v", at)
	}
	p.end()
	if p.stuck(false).IsZero() || !p.stuck(true).IsZero() {
		t.Error("an end is a failure, but for that of a producer that closes")
	}
}
