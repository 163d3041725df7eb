package serve

import (
	"crypto/sha256"
	"net/http"
	"strconv"

	"github.com/google/uuid"
)

const maxKey = 255

// idempotencyKey reads the header: one, quoted or bare, 1 to 255 printable ASCII characters. "" means that there is none.
func idempotencyKey(h http.Header) (string, *problem) {
	values := h[hdrIdempotencyKey]
	if len(values) == 0 {
		return "", nil
	}
	key, ok := values[0], len(values) == 1
	if ok && key != "" && key[0] == '"' {
		key, ok = unquote(key)
	}
	if !ok || key == "" || len(key) > maxKey || !printable(key) {
		return "", fail(codeKeyInvalid, "Send one key of 1 to 255 printable ASCII characters, quoted or bare.")
	}
	return key, nil
}

// unquote reads a string of RFC 9651: only the quote and the backslash are escaped.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", false
	}
	out := make([]byte, 0, len(s))
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '"' {
			return "", false
		}
		if s[i] == '\\' {
			if i++; i == len(s)-1 || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
		}
		out = append(out, s[i])
	}
	return string(out), true
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// orderID is the id of an order that was sent without one: every replica derives the same from the same key, so a repeated
// request is the same order. index is the place in a batch, below 0 outside. Without a key the id is new.
func orderID(client, key string, index int) string {
	if key == "" {
		return newID()
	}
	seed := make([]byte, 0, len("orderctl/order")+len(client)+len(key)+8)
	seed = append(append(seed, "orderctl/order\x00"...), client...)
	seed = append(append(seed, 0), key...)
	if index >= 0 {
		seed = strconv.AppendInt(append(seed, 0), int64(index), 10)
	}
	sum := sha256.Sum256(seed)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id.String()
}
