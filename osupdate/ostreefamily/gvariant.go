package ostreefamily

import (
	"bytes"
	"encoding/binary"
)

// variant is a value of GVariant in its serialised form, with its type string.
type variant struct {
	kind string
	data []byte
}

// dictionary reads a serialised a{sv} of GLib, "GVariant Specification" 1.0, section
// 3: an array of entries, each a key and a boxed value, both found by the offsets at
// the end. ok is false when it is none.
func dictionary(data []byte) (map[string]variant, bool) {
	ends, ok := offsets(data)
	if !ok {
		return nil, false
	}
	out := map[string]variant{}
	start := 0
	for _, end := range ends {
		start = align8(start)
		if start > end || end > len(data) {
			return nil, false
		}
		key, value, ok := entry(data[start:end])
		if !ok {
			return nil, false
		}
		out[key] = value
		start = end
	}
	return out, true
}

// entry reads {sv}: the offset at its end is that of the end of the key.
func entry(data []byte) (key string, value variant, ok bool) {
	size := offsetSize(len(data))
	if size == 0 || len(data) < size {
		return "", value, false
	}
	end := read(data[len(data)-size:])
	begin := align8(end)
	if end < 1 || begin > len(data)-size || data[end-1] != 0 {
		return "", value, false
	}
	boxed := data[begin : len(data)-size]
	split := bytes.LastIndexByte(boxed, 0)
	if split < 0 {
		return "", value, false
	}
	return string(data[:end-1]), variant{string(boxed[split+1:]), boxed[:split]}, true
}

// strings reads a serialised "as".
func (v variant) strings() []string {
	if v.kind != "as" {
		return nil
	}
	ends, ok := offsets(v.data)
	if !ok {
		return nil
	}
	var out []string
	start := 0
	for _, end := range ends {
		if start >= end || end > len(v.data) || v.data[end-1] != 0 {
			return nil
		}
		out = append(out, string(v.data[start:end-1]))
		start = end
	}
	return out
}

// text is the value of an "s"; empty for any other kind.
func (v variant) text() string {
	if v.kind != "s" {
		return ""
	}
	return string(bytes.TrimSuffix(v.data, []byte{0}))
}

// isTrue is the value of a "b".
func (v variant) isTrue() bool { return v.kind == "b" && len(v.data) == 1 && v.data[0] == 1 }

// offsets are the ends of the elements of an array, which stand behind the last.
func offsets(data []byte) ([]int, bool) {
	if len(data) == 0 {
		return nil, true
	}
	size := offsetSize(len(data))
	if len(data) < size {
		return nil, false
	}
	table := read(data[len(data)-size:])
	if table > len(data)-size || (len(data)-table)%size != 0 {
		return nil, false
	}
	var out []int
	for i := table; i < len(data); i += size {
		out = append(out, read(data[i:i+size]))
	}
	return out, true
}

func offsetSize(n int) int {
	switch {
	case n == 0:
		return 0
	case n <= 0xff:
		return 1
	case n <= 0xffff:
		return 2
	}
	return 4
}

func read(b []byte) int {
	var full [8]byte
	copy(full[:], b)
	return int(binary.LittleEndian.Uint64(full[:]))
}

func align8(n int) int { return (n + 7) &^ 7 }
