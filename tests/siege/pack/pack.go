// Package pack is what the two programs of the siege agree on: the configuration that the owner puts behind the
// adversary's program, so that every copy of it knows what to look for, and the lines in which it reports.
package pack

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
)

// Config is what the adversary is told. It knows where the secrets of the host lie, and what the host is.
type Config struct {
	Prefix   []byte            // beginning of every secret, each byte inverted, or the program itself would hold one
	Secrets  []string          // host paths of files with secrets
	Home     string            // of the owner
	Shares   []string          // host directories that a toolbox may change
	ReadOnly []string          // host directories that one may read
	Port     int               // a service on the host's loopback answers with a secret
	Socket   string            // so does this Unix socket of the runtime directory
	Abstract string            // and this abstract one
	Spaces   map[string]string // the host's namespaces, as /proc/self/ns has them
	Box      string            // name of the directory of the host's tbx-box, for images made before the first start
	Evil     string            // mark of all that the adversary writes
}

// Invert turns a prefix into what Config holds, and back.
func Invert(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] ^= 0xff
	}
	return out
}

// Line is one line of a report.
type Line struct {
	Kind   string `json:"kind"` // op, found, said
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
	Root   bool   `json:"root,omitempty"`
	Pid    int    `json:"pid,omitempty"`
}

// Kinds of lines.
const (
	Op    = "op"    // the adversary begins an attempt
	Found = "found" // it has or can what it must not
	Said  = "said"  // anything else
)

// ReportDir is the directory in a share that reports are left in by programs that have no other way.
const ReportDir = ".siege"

var magic = []byte("\x00siege-config\x00")

// Append returns the program with the configuration behind it.
func Append(program []byte, c *Config) ([]byte, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	out := append(bytes.Clone(program), data...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(data)))
	return append(out, magic...), nil
}

// Own returns the configuration of the program that runs.
func Own() (*Config, error) {
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	data, ok := bytes.CutSuffix(data, magic)
	if !ok || len(data) < 4 {
		return nil, errors.New("this program has no configuration")
	}
	n := int(binary.LittleEndian.Uint32(data[len(data)-4:]))
	data = data[:len(data)-4]
	if n > len(data) {
		return nil, errors.New("the configuration is cut")
	}
	c := &Config{}
	return c, json.Unmarshal(data[len(data)-n:], c)
}
