package store

import (
	"context"

	"commerce.internal/orderctl/internal/queue"
)

// Place writes where the copy of a hop lies, the third step of a hop. The row must still have that hop number and no
// position: the copy whose position is written first is the live one. queue.ErrRaced says that another one was first.
func (s *Store) Place(ctx context.Context, group string, key queue.RowKey, hop int, at queue.Position) error {
	topic, partition, offset := place(at)
	err := s.transact(ctx, "write position of hop", func(x *session) error {
		n, err := x.exec(ctx, s.text.placeRow, topic, partition, offset, group, key.MsgID, key.Fingerprint, hop)
		return x.compared(0, n, err)
	})
	if own := ownOf(err); own != nil {
		return own.err
	}
	return err
}
