package tell

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"strings"
)

// journalID marks all that automatic updates say, for journalctl MESSAGE_ID=….
const journalID = "3e0c5ad4b7b94b9f8d2f6c7f0a5be9d1"

// Journal writes to the journal's own socket, with fields, as its native protocol has it.
// false: it is not there.
func Journal(socket string) (func(text string, fields map[string]string), bool) {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, false
	}
	return func(text string, fields map[string]string) {
		var b bytes.Buffer
		field := func(key, value string) {
			b.WriteString(key + "\n")
			binary.Write(&b, binary.LittleEndian, uint64(len(value)))
			b.WriteString(value + "\n")
		}
		field("MESSAGE", text)
		field("MESSAGE_ID", journalID)
		field("SYSLOG_IDENTIFIER", "tbx")
		if fields["PRIORITY"] == "" {
			field("PRIORITY", "6")
		}
		keys := make([]string, 0, len(fields))
		for key := range fields {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if value := strings.TrimSpace(fields[key]); value != "" {
				field(key, value)
			}
		}
		conn.Write(b.Bytes()) // a journal that does not take it has nobody to tell so
	}, true
}
