package order

import "google.golang.org/protobuf/encoding/protowire"

// The wire types of our fields by number, from 1: s text, v varint, i item, a attribute.
const (
	orderWire     = "ssssivvvvav"
	itemWire      = "svv"
	attributeWire = "ss"

	maxGroupDepth = 100
)

// checkWire returns the offset where b is no order.v1.Order, or -1. The Protobuf library takes a known field of another
// wire type for an unknown one and drops it: an order would lose a member without a word.
func checkWire(b []byte) int { return checkMessage(b, orderWire) }

func checkMessage(b []byte, fields string) int {
	for at := 0; at < len(b); {
		num, typ, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return at
		}
		kind := byte(0)
		if num >= 1 && int(num) <= len(fields) {
			kind = fields[num-1]
		}
		size, bad := checkField(b[at+n:], num, typ, kind)
		if bad >= 0 {
			return at + n + bad
		}
		at += n + size
	}
	return -1
}

// checkField returns the size of a field's value, and the offset in it where it is wrong, or -1.
func checkField(b []byte, num protowire.Number, typ protowire.Type, kind byte) (size, bad int) {
	if typ == protowire.StartGroupType {
		if kind != 0 {
			return 0, 0
		}
		return skipGroup(b, num)
	}
	size = protowire.ConsumeFieldValue(num, typ, b)
	if size < 0 {
		return 0, 0
	}
	nested := ""
	switch kind {
	case 0:
		return size, -1
	case 'v':
		if typ != protowire.VarintType {
			return 0, 0
		}
		return size, -1
	case 'i':
		nested = itemWire
	case 'a':
		nested = attributeWire
	}
	if typ != protowire.BytesType {
		return 0, 0
	}
	if nested == "" {
		return size, -1
	}
	value, _ := protowire.ConsumeBytes(b)
	if bad = checkMessage(value, nested); bad >= 0 {
		bad += size - len(value)
	}
	return size, bad
}

// skipGroup skips an unknown group. It counts its depth instead of recursing, and refuses one that is too deep.
func skipGroup(b []byte, num protowire.Number) (size, bad int) {
	open := []protowire.Number{num}
	for at := 0; at < len(b); {
		num, typ, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return 0, at
		}
		switch typ {
		case protowire.StartGroupType:
			if open = append(open, num); len(open) > maxGroupDepth {
				return 0, at
			}
		case protowire.EndGroupType:
			if open[len(open)-1] != num {
				return 0, at
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return at + n, -1
			}
		default:
			value := protowire.ConsumeFieldValue(num, typ, b[at+n:])
			if value < 0 {
				return 0, at
			}
			n += value
		}
		at += n
	}
	return 0, len(b)
}
