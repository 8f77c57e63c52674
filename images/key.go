package images

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"
)

// KeyKind is the kind of signatures that a key verifies.
type KeyKind string

// The kinds that containers/image can check with a key of the user's.
const (
	KeyGPG      KeyKind = "gpg"      // "simple signing": detached from the registry, in a lookaside
	KeySigstore KeyKind = "sigstore" // cosign, beside the image in the registry
)

// KeyHint says where a file with a public key comes from.
const KeyHint = "gpg --armor --export NAME writes the OpenPGP key of NAME; of a sigstore key pair it is the .pub file"

// With two keys in a file, "signed by this key" would mean "by either".
var errSeveral = errors.New("it holds several keys; put each into a file of its own")

// ReadKey returns a public key's kind and ID: the OpenPGP fingerprint in capitals, as
// gpg shows it, or SHA256: and the hash of the PEM key's DER.
func ReadKey(data []byte) (KeyKind, string, error) {
	if block, rest := pem.Decode(data); block != nil {
		switch {
		case strings.Contains(block.Type, "PRIVATE"):
			return "", "", errors.New("it is a private key; give the public one, and keep this one to yourself")
		case block.Type == "PUBLIC KEY":
			if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
				return "", "", err
			}
			if bytes.Contains(rest, []byte("-----BEGIN")) {
				return "", "", errSeveral
			}
			sum := sha256.Sum256(block.Bytes)
			return KeySigstore, "SHA256:" + hex.EncodeToString(sum[:]), nil
		}
	}
	packets, err := dearmor(data)
	if err != nil {
		return "", "", err
	}
	id, err := fingerprint(packets)
	return KeyGPG, id, err
}

// dearmor removes ASCII armor, RFC 4880 section 6.2. It returns other data unchanged.
func dearmor(data []byte) ([]byte, error) {
	text := string(bytes.TrimSpace(data))
	if !strings.HasPrefix(text, "-----BEGIN PGP ") {
		return data, nil
	}
	if !strings.HasPrefix(text, "-----BEGIN PGP PUBLIC KEY BLOCK-----") {
		return nil, errors.New("it is an OpenPGP file, but not a public key")
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	_, body, found := strings.Cut(text, "\n\n") // the headers end with an empty line
	body, rest, ended := strings.Cut(body, "\n-----END")
	if !found || !ended {
		return nil, errors.New("its armor is broken")
	}
	if strings.Contains(rest, "-----BEGIN") { // gpg would read on, and believe the next one too
		return nil, errSeveral
	}
	var b strings.Builder
	for line := range strings.SplitSeq(body, "\n") {
		if !strings.HasPrefix(line, "=") { // the checksum
			b.WriteString(line)
		}
	}
	return base64.StdEncoding.DecodeString(b.String())
}

// fingerprint returns the fingerprint of the one primary key among the packets (RFC 4880
// sections 4.2 and 12.2).
func fingerprint(packets []byte) (string, error) {
	errFormat := errors.New("it is neither an OpenPGP nor a PEM public key")
	id := ""
	for len(packets) > 0 {
		tag, body, rest, ok := packet(packets)
		if !ok {
			return "", errFormat
		}
		packets = rest
		switch tag {
		case 5: // secret key
			return "", errors.New("it is a private key; give the public one, and keep this one to yourself")
		case 6: // public key
			if id != "" {
				return "", errSeveral
			}
			if len(body) == 0 || body[0] != 4 || len(body) > 0xffff {
				return "", errors.New("its OpenPGP key is not of version 4")
			}
			hash := sha1.New()
			hash.Write([]byte{0x99})
			binary.Write(hash, binary.BigEndian, uint16(len(body))) // to a hash: cannot fail
			hash.Write(body)
			id = strings.ToUpper(hex.EncodeToString(hash.Sum(nil)))
		}
	}
	if id == "" {
		return "", errFormat
	}
	return id, nil
}

// packet splits off the first packet; those of unknown length are not in keys.
func packet(b []byte) (tag byte, body, rest []byte, ok bool) {
	if len(b) < 2 || b[0]&0x80 == 0 {
		return 0, nil, nil, false
	}
	var header, size int
	if b[0]&0x40 == 0 { // old format
		tag = b[0] >> 2 & 0x0f
		width := 1 << (b[0] & 3) // 1, 2, 4; 8 stands for unknown
		if width == 8 || len(b) < 1+width {
			return 0, nil, nil, false
		}
		for _, c := range b[1 : 1+width] {
			size = size<<8 | int(c)
		}
		header = 1 + width
	} else {
		tag = b[0] & 0x3f
		switch first := int(b[1]); {
		case first < 192:
			header, size = 2, first
		case first < 224 && len(b) > 2:
			header, size = 3, (first-192)<<8+int(b[2])+192
		case first == 255 && len(b) > 5:
			header, size = 6, int(binary.BigEndian.Uint32(b[2:6]))
		default:
			return 0, nil, nil, false
		}
	}
	if size > len(b)-header {
		return 0, nil, nil, false
	}
	return tag, b[header : header+size], b[header+size:], true
}
