package podman_test

import (
	"context"
	"net"
	"net/http"
)

// client returns an HTTP client whose connections all lead to socket.
func client(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}
