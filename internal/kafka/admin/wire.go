package admin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

const (
	keyVersions     = 18
	keyInitProducer = 22

	correlation = 0x6f726465 // of our one question
	mostAnswer  = 64 << 10   // bytes; a real answer has about 1 KiB
)

var errNoKafka = errors.New("it does not speak Kafka's protocol")

// askVersions asks a connection which requests the other end knows, and returns the newest version of each. It is the
// first version of that request, which every Kafka answers, before a login too.
func askVersions(conn net.Conn) (map[int16]int16, error) {
	const client = "orderctl-doctor"
	body := binary.BigEndian.AppendUint16(nil, keyVersions)
	body = binary.BigEndian.AppendUint16(body, 0)
	body = binary.BigEndian.AppendUint32(body, correlation)
	body = binary.BigEndian.AppendUint16(body, uint16(len(client)))
	body = append(body, client...)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil { //nolint:gosec // a few bytes
		return nil, fmt.Errorf("ask for versions: %w", err)
	}
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 10 || size > mostAnswer || binary.BigEndian.Uint32(head[4:]) != correlation {
		return nil, errNoKafka
	}
	answer := make([]byte, size-4)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	return versions(answer)
}

// versions takes an answer apart: a code, and for each request its key, oldest and newest version.
func versions(answer []byte) (map[int16]int16, error) {
	const each = 6
	n := int(binary.BigEndian.Uint32(answer[2:]))
	answer = answer[6:]
	if n < 0 || len(answer)/each < n {
		return nil, errNoKafka
	}
	found := make(map[int16]int16, n)
	for ; n > 0; n-- {
		found[int16(binary.BigEndian.Uint16(answer))] = int16(binary.BigEndian.Uint16(answer[4:])) //nolint:gosec // as Kafka writes them
		answer = answer[each:]
	}
	return found, nil
}
