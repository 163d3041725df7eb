package store

import "time"

// The bounds where the options have none.
const (
	defaultOpen = 16
	defaultIdle = 4
	defaultLife = 30 * time.Minute
)

// pool bounds the connections to a database server. Readers have their own, or a worker that has taken all would make
// GET /orders wait.
type pool struct {
	write, read, idle int
	life              time.Duration
}

func newPool(o Options) pool {
	p := pool{idle: o.MaxIdle, life: o.MaxLife}
	open := o.MaxOpen
	if open == 0 {
		open = defaultOpen
	}
	if p.idle == 0 {
		p.idle = defaultIdle
	}
	if p.life == 0 {
		p.life = defaultLife
	}
	p.read = max(1, open/4)
	p.write = max(1, open-p.read)
	return p
}

func (p pool) writers() int { return p.write }

func (p pool) keeps(x *session, idle int) bool { return idle < p.idle && time.Since(x.born) < p.life }

// bound sets the bounds of the connections of l. Those that write are kept by the store, with what was prepared on them.
func (p pool) bound(l *link) {
	l.write.SetMaxOpenConns(p.write)
	l.write.SetMaxIdleConns(-1)
	l.read.SetMaxOpenConns(p.read)
	l.read.SetMaxIdleConns(min(p.read, p.idle))
	l.read.SetConnMaxLifetime(p.life)
}
