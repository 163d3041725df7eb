package order

import (
	"strings"
)

// Parse reads one order in the encoding that a content type names: application/json, also where there is none, or
// application/x-protobuf. Any other is *Malformed. The rest is as with ParseJSON.
func Parse(contentType string, b []byte, u Unknown) (Order, error) {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "", "application/json":
		return ParseJSON(b, u)
	case "application/x-protobuf":
		return ParseProto(b)
	}
	return Order{}, &Malformed{Detail: "its content type is neither application/json nor application/x-protobuf", Offset: -1}
}
