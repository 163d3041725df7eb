package kafka

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// Iterations of a salted password that are believed of a server: fewer are weak, more would burn our CPU.
const (
	minIterations = 4096
	maxIterations = 1 << 20
)

var (
	errSCRAMProof = errors.New("the broker did not prove that it knows the password")
	errSCRAMReply = errors.New("malformed SCRAM message")
)

// scram is the client of one SCRAM login (RFC 5802, without channel binding). Names and passwords are taken as UTF-8
// without SASLprep, as Kafka takes them.
type scram struct {
	hash            func() hash.Hash
	user, password  string
	nonce           string
	first           string // client-first-message-bare
	serverSignature []byte
	step            int
}

func newSCRAM(mechanism string) *scram {
	if mechanism == MechanismSCRAM512 {
		return &scram{hash: sha512.New}
	}
	return &scram{hash: sha256.New}
}

// Begin starts a login; the authorization id is not used.
func (s *scram) Begin(user, password, _ string) error {
	s.user, s.password = user, password
	if s.nonce == "" {
		s.nonce = rand.Text()
	}
	s.step = 0
	return nil
}

// Step answers a message of the broker; the first one is empty.
func (s *scram) Step(challenge string) (string, error) {
	s.step++
	switch s.step {
	case 1:
		s.first = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s.user) + ",r=" + s.nonce
		return "n,," + s.first, nil
	case 2:
		return s.prove(challenge)
	case 3:
		return "", s.verify(challenge)
	}
	return "", errSCRAMReply
}

// Done reports whether the login has come to its end.
func (s *scram) Done() bool { return s.step >= 3 }

// prove answers the salt with the proof that we know the password.
func (s *scram) prove(challenge string) (string, error) {
	attrs := attributes(challenge)
	nonce := attrs["r"]
	salt, err := base64.StdEncoding.DecodeString(attrs["s"])
	iterations, ierr := strconv.Atoi(attrs["i"])
	switch {
	case err != nil || ierr != nil || len(salt) == 0:
		return "", errSCRAMReply
	case !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce):
		return "", fmt.Errorf("%w: the nonce is not ours", errSCRAMReply)
	case iterations < minIterations || iterations > maxIterations:
		return "", fmt.Errorf("%w: %d iterations", errSCRAMReply, iterations)
	}
	salted, err := pbkdf2.Key(s.hash, s.password, salt, iterations, s.hash().Size())
	if err != nil {
		return "", fmt.Errorf("salt password: %w", err)
	}
	clientKey := s.mac(salted, "Client Key")
	h := s.hash()
	h.Write(clientKey)
	bare := "c=biws,r=" + nonce // biws: no channel binding
	message := s.first + "," + challenge + "," + bare
	proof := s.mac(h.Sum(nil), message)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	s.serverSignature = s.mac(s.mac(salted, "Server Key"), message)
	return bare + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// verify checks that the broker knows the password too.
func (s *scram) verify(final string) error {
	attrs := attributes(final)
	if e, ok := attrs["e"]; ok {
		return fmt.Errorf("%w: %q", errSCRAMProof, e)
	}
	signature, err := base64.StdEncoding.DecodeString(attrs["v"])
	if err != nil || !hmac.Equal(signature, s.serverSignature) {
		return errSCRAMProof
	}
	return nil
}

func (s *scram) mac(key []byte, message string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}

func attributes(message string) map[string]string {
	attrs := map[string]string{}
	for part := range strings.SplitSeq(message, ",") {
		if name, value, ok := strings.Cut(part, "="); ok {
			attrs[name] = value
		}
	}
	return attrs
}
