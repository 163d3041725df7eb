package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
)

// storeTimeout is how long a question about one order may take.
const storeTimeout = time.Second

var orderIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)

// orderState is where an order is, as clients read it.
type orderState string

const (
	stateRetrying  orderState = "retrying"
	stateParked    orderState = "parked"
	stateDead      orderState = "dead"
	stateApplied   orderState = "applied"
	stateDiscarded orderState = "discarded"
	stateAccepted  orderState = "accepted"
)

type orderBody struct {
	OrderID     string        `json:"order_id"`
	State       orderState    `json:"state"`
	Status      *string       `json:"status"` // what has been applied so far; null before that
	Currency    *string       `json:"currency"`
	TotalAmount *int64        `json:"total_amount"`
	AppliedAt   *time.Time    `json:"applied_at"`
	Messages    []messageBody `json:"messages"` // what is unfinished
}

type messageBody struct {
	MessageID string     `json:"message_id"`
	State     string     `json:"state"`
	Class     *string    `json:"class"`
	Code      *string    `json:"code"`
	Attempts  int        `json:"attempts"`
	DueAt     *time.Time `json:"due_at"`
}

// getOrder says where an order is.
func (s *Server) getOrder(k *call) *problem {
	id, _ := k.params.Get("order_id")
	if p := k.stopping(); p != nil {
		return p
	}
	if !orderIDForm.MatchString(id) {
		return notFound(k)
	}
	view := queue.OrderView{OrderID: id}
	if s.o.Orders != nil {
		var err error
		if view, err = s.look(k.ctx(), id); err != nil {
			return fail(codeStoreUnavailable, "Where the order is cannot be told now. Orders are taken on.")
		}
	}
	state, found := stateOf(view, s.recent.has(id))
	if !found {
		return fail(codeNotFound, "No such order is known here. It may still wait in the queue.")
	}
	b, err := json.Marshal(bodyOf(id, state, view))
	if err != nil {
		return fail(codeInternal, "The order cannot be shown.")
	}
	k.w.Header()[hdrContentType] = s.statics.json
	k.w.WriteHeader(http.StatusOK)
	_, _ = k.w.Write(append(b, '\n')) // the client may be gone
	return nil
}

// look asks the store, for a second at most.
func (s *Server) look(ctx context.Context, id string) (queue.OrderView, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	view, err := s.o.Orders.Order(ctx, s.o.Group, id)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		err, view = nil, queue.OrderView{OrderID: id}
	case err != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return view, err // the client has gone: that says nothing about the store
	case err != nil:
		err = fmt.Errorf("read order %s: %w", id, err)
		s.o.Log.WarnContext(ctx, "order not read", slog.String(obs.KeyOrderID, id), slog.Any(obs.KeyError, err))
	}
	s.noteStore(err)
	return view, err
}

// stateOf is the first state that holds.
func stateOf(v queue.OrderView, acceptedHere bool) (orderState, bool) {
	has := map[queue.State]bool{}
	for _, r := range v.Rows {
		has[r.State] = true
	}
	switch {
	case has[queue.StateRetry]:
		return stateRetrying, true
	case has[queue.StateParked]:
		return stateParked, true
	case has[queue.StateDead]:
		return stateDead, true
	case v.Found || has[queue.StateDone]:
		return stateApplied, true
	case has[queue.StateDiscarded]:
		return stateDiscarded, true
	case acceptedHere:
		return stateAccepted, true
	}
	return "", false
}

func bodyOf(id string, state orderState, v queue.OrderView) orderBody {
	b := orderBody{OrderID: id, State: state, Messages: []messageBody{}}
	if v.Found {
		status, at := string(v.Status), v.AppliedAt.UTC()
		b.Status, b.Currency, b.TotalAmount, b.AppliedAt = &status, &v.Currency, &v.TotalAmount, &at
	}
	for _, r := range v.Rows {
		if r.State == queue.StateDone || r.State == queue.StateDiscarded {
			continue
		}
		m := messageBody{MessageID: r.MsgID, State: string(r.State), Attempts: r.Attempts}
		if r.Failure.Class != "" {
			class := string(r.Failure.Class)
			m.Class = &class
		}
		if r.Failure.Code != "" {
			m.Code = &r.Failure.Code
		}
		if !r.DueAt.IsZero() {
			due := r.DueAt.UTC()
			m.DueAt = &due
		}
		b.Messages = append(b.Messages, m)
	}
	return b
}
