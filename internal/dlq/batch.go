package dlq

import "context"

// Bounds of what waits for one question to the store.
const (
	batchLetters = 200
	batchBytes   = 8 << 20
)

// batch decides letters some at a time, so that few bodies are in memory, and keeps those that are chosen without theirs.
type batch struct {
	reader  *Reader
	sel     Selection
	waiting []Letter
	bytes   int
	chosen  []Letter
}

func (b *batch) add(ctx context.Context, l Letter) error {
	if !b.sel.matches(l) {
		return nil
	}
	if b.sel.Query == nil {
		l = bare(l)
	}
	b.waiting = append(b.waiting, l)
	b.bytes += len(l.Value)
	if len(b.waiting) < batchLetters && b.bytes < batchBytes {
		return nil
	}
	return b.flush(ctx)
}

func (b *batch) flush(ctx context.Context) error {
	letters, err := b.reader.choose(ctx, b.waiting, b.sel)
	if err != nil {
		return err
	}
	for _, l := range letters {
		b.chosen = append(b.chosen, bare(l))
	}
	b.waiting, b.bytes = b.waiting[:0], 0
	return nil
}

// bare is a letter without its body: a list of many has to fit into memory.
func bare(l Letter) Letter {
	l.Value, l.Headers = nil, nil
	return l
}
