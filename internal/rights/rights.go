// Package rights receives descriptors that came over a socket, unix(7).
package rights

import "golang.org/x/sys/unix"

// Received returns the descriptors of all control messages in oob, even with an error.
func Received(oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	var fds []int
	for _, m := range msgs {
		got, e := unix.ParseUnixRights(&m)
		if e != nil {
			err = e
		}
		fds = append(fds, got...)
	}
	return fds, err
}
