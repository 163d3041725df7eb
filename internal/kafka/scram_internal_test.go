package kafka

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSCRAMFollowsTheVectorsOfTheRFCs(t *testing.T) {
	t.Parallel()
	sha1Client := &scram{hash: sha1.New, nonce: "fyko+d2lbbFgONRv9qkxdawL"}
	sha256Client := newSCRAM(MechanismSCRAM256)
	sha256Client.nonce = "rOprNGfwEbeRWgbNEkqO"
	tests := []struct {
		name                              string
		client                            *scram
		first, salt, final, serverMessage string
	}{
		{
			"RFC 5802, SHA-1", sha1Client, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		},
		{
			"RFC 7677, SHA-256", sha256Client, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tt.client
			if err := s.Begin("user", "pencil", ""); err != nil {
				t.Fatal(err)
			}
			for i, step := range []struct{ in, want string }{{"", tt.first}, {tt.salt, tt.final}, {tt.serverMessage, ""}} {
				got, err := s.Step(step.in)
				if err != nil || got != step.want {
					t.Fatalf("step %d = %q, %v; want %q", i+1, got, err, step.want)
				}
			}
			if !s.Done() {
				t.Error("not done after the server has proved itself")
			}
		})
	}
}

// server is the other side of a login, by the book.
func server(first, password string, salt []byte, iterations int) (challenge string, verify func(final string) (string, error)) {
	bare := strings.TrimPrefix(first, "n,,")
	nonce := attributes(bare)["r"] + "server"
	challenge = fmt.Sprintf("r=%s,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(salt), iterations)
	mac := func(key []byte, m string) []byte {
		h := hmac.New(sha512.New, key)
		h.Write([]byte(m))
		return h.Sum(nil)
	}
	return challenge, func(final string) (string, error) {
		salted, err := pbkdf2.Key(sha512.New, password, salt, iterations, 64)
		if err != nil {
			return "", err
		}
		unproved, proof, _ := strings.Cut(final, ",p=")
		message := bare + "," + challenge + "," + unproved
		stored := sha512.Sum512(mac(salted, "Client Key"))
		key, err := base64.StdEncoding.DecodeString(proof)
		if err != nil {
			return "", err
		}
		for i, b := range mac(stored[:], message) {
			key[i] ^= b
		}
		if sha512.Sum512(key) != stored {
			return "", errors.New("wrong proof")
		}
		return "v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), message)), nil
	}
}

func TestSCRAM512ConvincesAServerAndIsConvincedByIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		user, password := rapid.String().Draw(t, "user"), rapid.String().Draw(t, "password")
		salt := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "salt")
		s := newSCRAM(MechanismSCRAM512)
		_ = s.Begin(user, password, "")
		first, err := s.Step("")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(first, ",") != 3 {
			t.Fatalf("user %q broke the message %q", user, first)
		}
		challenge, verify := server(first, password, salt, 4096)
		final, err := s.Step(challenge)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := verify(final)
		if err != nil {
			t.Fatalf("the server: %v", err)
		}
		if _, err := s.Step(signature); err != nil {
			t.Fatalf("the client: %v", err)
		}
	})
}

func TestSCRAMRefusesAServerThatCannotBeOurs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, challenge, final string
		want                   error
	}{
		{"a nonce that is not ours", "r=other,s=QSXCR+Q6sek8bf92,i=4096", "", errSCRAMReply},
		{"a nonce that adds nothing", "r=mine,s=QSXCR+Q6sek8bf92,i=4096", "", errSCRAMReply},
		{"one iteration", "r=mine1,s=QSXCR+Q6sek8bf92,i=1", "", errSCRAMReply},
		{"iterations for hours", "r=mine1,s=QSXCR+Q6sek8bf92,i=2000000000", "", errSCRAMReply},
		{"a salt that is no base64", "r=mine1,s=?,i=4096", "", errSCRAMReply},
		{"no salt", "r=mine1,i=4096", "", errSCRAMReply},
		{"rubbish", "hello", "", errSCRAMReply},
		{"a wrong signature", "r=mine1,s=QSXCR+Q6sek8bf92,i=4096", "v=AAAA", errSCRAMProof},
		{"an error of the server", "r=mine1,s=QSXCR+Q6sek8bf92,i=4096", "e=invalid-proof", errSCRAMProof},
		{"no signature", "r=mine1,s=QSXCR+Q6sek8bf92,i=4096", "", errSCRAMProof},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSCRAM(MechanismSCRAM256)
			s.nonce = "mine"
			_ = s.Begin("u", "p", "")
			_, err := s.Step("")
			if err == nil {
				_, err = s.Step(tt.challenge)
			}
			if err == nil {
				_, err = s.Step(tt.final)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("err = %v, want %v", err, tt.want)
			}
		})
	}
}
