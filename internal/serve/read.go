package serve

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// contentNDJSON is a batch with one order a line.
const contentNDJSON = "application/x-ndjson"

// form is what the headers of a request say about its body.
type form struct {
	content  string
	gzip     bool
	length   int64 // of the body as sent; below 0: not known
	limit    int64 // of the body decompressed
	key      string
	loadTest string
}

// form reads the headers and refuses what cannot be read, or is too long, before a byte of the body is.
func (k *call) form(limit int64, types ...string) (form, *problem) {
	in := form{limit: limit, length: k.r.ContentLength}
	var p *problem
	if in.content, p = k.contentType(types); p != nil {
		return in, p
	}
	if in.gzip, p = k.encoding(); p != nil {
		return in, p
	}
	if in.key, p = idempotencyKey(k.r.Header); p != nil {
		return in, p
	}
	if in.length > limit {
		return in, tooLarge(limit)
	}
	if run := k.r.Header.Get(hdrLoadTest); run != "" && plainID.MatchString(run) {
		in.loadTest = run
	}
	return in, nil
}

func (k *call) contentType(types []string) (string, *problem) {
	values := k.r.Header[hdrContentType]
	if len(values) == 1 {
		if slices.Contains(types, values[0]) {
			return values[0], nil
		}
		content, params, err := mime.ParseMediaType(values[0])
		charset, named := params["charset"]
		if err == nil && slices.Contains(types, content) && (!named || strings.EqualFold(charset, "utf-8")) {
			return content, nil
		}
	}
	k.w.Header().Set("Accept-Post", strings.Join(types, ", "))
	return "", fail(codeUnsupported, "Content-Type is one of "+strings.Join(types, ", ")+", in UTF-8.")
}

func (k *call) encoding() (zipped bool, p *problem) {
	values := k.r.Header[hdrEncoding]
	switch {
	case len(values) == 0, len(values) == 1 && strings.EqualFold(values[0], "identity"):
		return false, nil
	case len(values) == 1 && strings.EqualFold(values[0], "gzip"):
		return true, nil
	}
	k.w.Header().Set("Accept-Encoding", "gzip, identity")
	return false, fail(codeUnsupported, "Content-Encoding is gzip or identity.")
}

// unread closes the connection after the answer: there may be more of the body than is worth reading.
func unread(p *problem) *problem {
	p.close = true
	return p
}

func tooLarge(limit int64) *problem {
	p := unread(fail(codeTooLarge, "The body, decompressed, is longer than limit_bytes."))
	p.limit = limit
	return p
}

// reserve is how much memory the body may take.
func (f form) reserve() int64 {
	if f.gzip || f.length < 0 {
		return f.limit
	}
	return f.length
}

// read reads the whole body: a streaming decoder could meet the end of the order before the limit.
func (k *call) read(in form) ([]byte, *problem) {
	if !in.gzip && in.length >= 0 {
		body := make([]byte, in.length)
		if _, err := io.ReadFull(k.r.Body, body); err != nil {
			return nil, k.unreadable(err, in)
		}
		return body, nil
	}
	raw := io.Reader(http.MaxBytesReader(k.w, k.r.Body, in.limit))
	if !in.gzip {
		return k.readUpTo(raw, in)
	}
	z, err := k.s.gunzip(raw)
	if err != nil {
		return nil, k.unreadable(err, in)
	}
	defer k.s.inflate.Put(z)
	return k.readUpTo(z, in)
}

// readUpTo reads to the end, or to one byte above the limit.
func (k *call) readUpTo(r io.Reader, in form) ([]byte, *problem) {
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, in.limit+1))
	switch {
	case n > in.limit:
		return nil, tooLarge(in.limit)
	case err != nil:
		return nil, k.unreadable(err, in)
	}
	return b.Bytes(), nil
}

func (s *Server) gunzip(r io.Reader) (*gzip.Reader, error) {
	if z, ok := s.inflate.Get().(*gzip.Reader); ok {
		if err := z.Reset(r); err != nil {
			return nil, err
		}
		return z, nil
	}
	return gzip.NewReader(r)
}

// unreadable says why a body could not be read.
func (k *call) unreadable(err error, in form) *problem {
	var long *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &long):
		return tooLarge(in.limit)
	case errors.As(err, &slow) && slow.Timeout():
		return unread(fail(codeBodyTimeout, "Send the whole body faster."))
	case in.gzip:
		return unread(fail(codeMalformedEncoding, "The body is not one complete gzip stream."))
	case in.content == queue.ContentProtobuf:
		return unread(fail(codeMalformedProtobuf, "The body ended before its announced length."))
	default:
		return unread(fail(codeMalformedJSON, "The body ended before its announced length."))
	}
}
