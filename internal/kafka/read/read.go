// Package read reads a bounded piece of a log: from one offset up to another, and then it is done. It is for looking (at
// dead letters, at one order, at one bad batch), not for consuming: no group, no commits, and nothing but what a worker
// would have seen, that is, no aborted transactions.
//
// It fetches by itself, because sarama's consumer cannot see the end of a log that ends with a transaction marker.
package read

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

// Span is what there is to read in a partition: Start <= offset < End. End is the last stable offset: behind it lies an
// open transaction, or nothing.
type Span struct{ Start, End int64 }

// Reader reads from one cluster. Its methods may be called from several goroutines. At the end of the context of a call
// all its connections are cut, so that the call returns at once; the other calls go on with new ones.
type Reader struct {
	opts kafka.Options

	mu     sync.Mutex
	link   *link
	closed bool
}

// link is a client, and whether it has been cut.
type link struct {
	client *kafka.Client
	cut    context.CancelFunc
	gone   <-chan struct{} // closed by cut
}

// New returns a Reader once a broker has let us in.
func New(ctx context.Context, o kafka.Options) (*Reader, error) {
	r := &Reader{opts: o}
	if _, err := r.connect(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends the connections; calls that are at work fail.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.link == nil {
		return nil
	}
	l := r.link
	r.link = nil
	l.cut()
	return l.client.Close()
}

// connect returns a client that has not been cut.
func (r *Reader) connect(ctx context.Context) (*link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("read: %w", net.ErrClosed)
	}
	if r.link != nil {
		select {
		case <-r.link.gone:
			_ = r.link.client.Close()
			r.link = nil
		default:
			return r.link, nil
		}
	}
	client, err := kafka.Dial(ctx, r.opts, kafka.ForRead)
	if err != nil {
		return nil, err
	}
	// The mark that the client is cut must outlive the call that dialed it.
	gone, mark := context.WithCancel(context.WithoutCancel(ctx))
	r.link = &link{client: client, gone: gone.Done(), cut: func() { mark(); client.Cut() }}
	return r.link, nil
}

// with runs one call, cut off at the end of ctx. A call that another one has cut off starts again: it must not have had
// any effect that cannot be repeated, see scan for one that goes on instead.
func (r *Reader) with(ctx context.Context, call func(*kafka.Client) error) error {
	for {
		l, err := r.connect(ctx)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, l.cut)
		err = call(l.client)
		stop()
		switch cause := context.Cause(ctx); {
		case err == nil:
			return nil
		case cause != nil:
			// What a cut connection says is not why: a dial that was cut off calls itself cancelled.
			return r.opts.Explain(fmt.Errorf("%w: %s", cause, err.Error()))
		}
		select {
		case <-l.gone:
			if !r.isClosed() && broken(err) {
				continue
			}
		default:
		}
		return r.opts.Explain(err)
	}
}

func (r *Reader) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// broken reports whether the connection failed, not the request.
func broken(err error) bool {
	var n net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, sarama.ErrNotConnected) ||
		errors.Is(err, sarama.ErrOutOfBrokers) || errors.Is(err, sarama.ErrBrokerNotFound) || errors.As(err, &n)
}

// moved reports whether fresh metadata may help.
func moved(err error) bool {
	for _, code := range [...]sarama.KError{
		sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrFencedLeaderEpoch,
		sarama.ErrUnknownLeaderEpoch, sarama.ErrOffsetNotAvailable, sarama.ErrReplicaNotAvailable,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
