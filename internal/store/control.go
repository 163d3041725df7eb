package store

import "context"

// ForgetControls makes the messages of one partition forget which discard or undo they obeyed last, and returns how many
// that were. It belongs to a replay partition whose offsets are moved: what is read again there lies below what a row
// remembers, and would be taken for old. topics are those that the messages come from, the partition is the same in all.
func (s *Store) ForgetControls(ctx context.Context, group string, topics []string, partition int32) (int64, error) {
	if len(topics) == 0 {
		return 0, nil
	}
	args := []any{group, partition}
	for _, t := range topics {
		args = append(args, t)
	}
	query := render(s.text.syntax, `UPDATE orderctl_messages SET control_offset = NULL
		WHERE consumer_group = ? AND src_partition = ? AND control_offset IS NOT NULL AND src_topic IN (`+list(len(topics))+`)`)
	var forgot int64
	err := s.transact(ctx, "forget controls of a partition", func(x *session) error {
		n, err := x.exec(ctx, query, args...)
		forgot = n
		return err
	})
	if err != nil {
		return 0, err
	}
	return forgot, nil
}
