//go:build remote

package podman

import "net/http"

// rewinding sends the whole body of a request each time that it is sent: the bindings
// send one again when podman's service did not answer, with what is left of its body.
type rewinding struct{ http.RoundTripper }

func (r rewinding) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = body
	}
	return r.RoundTripper.RoundTrip(req)
}
