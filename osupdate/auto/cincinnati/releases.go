package cincinnati

import (
	"encoding/json"
	"strconv"
	"strings"
)

// wireRelease is a release of a list: what Fedora CoreOS has in its two files for each
// stream, one with the payloads, one with how far each release is rolled out.
type wireRelease struct {
	Version string `json:"version"`
	Payload string `json:"payload"` // for every architecture
	Commits []struct {
		Architecture string `json:"architecture"`
		Checksum     string `json:"checksum"`
	} `json:"commits"`
	Images []struct {
		Architecture string `json:"architecture"`
		Image        string `json:"image"`
		Digest       string `json:"digest-ref"`
	} `json:"oci-images"`
	Metadata wireMetadata `json:"metadata"`
}

// wireMetadata is what a list says of a release. That of releases.json is an address,
// which says nothing here.
type wireMetadata struct {
	Barrier *because `json:"barrier"`
	DeadEnd *because `json:"deadend"`
	Rollout *rollout `json:"rollout"`
}

type because struct {
	Reason string `json:"reason"`
}

type rollout struct {
	Start    float64 `json:"start_epoch"`
	Value    float64 `json:"start_percentage"` // from 0 to 1, in spite of its name
	Duration float64 `json:"duration_minutes"`
}

// UnmarshalJSON takes the address that releases.json has in this place for no metadata.
func (m *wireMetadata) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return nil
	}
	type plain wireMetadata
	return json.Unmarshal(data, (*plain)(m))
}

// node is the release as a graph has it.
func (r *wireRelease) node(architecture string) Node {
	n := Node{Version: r.Version, Payload: r.Payload, Metadata: map[string]string{}}
	for _, c := range r.Commits {
		if n.Payload == "" && c.Architecture == architecture {
			n.Payload, n.Metadata[keyScheme] = c.Checksum, "checksum"
		}
	}
	for _, i := range r.Images {
		if n.Payload == "" && i.Architecture == architecture {
			n.Payload = i.Digest
			if !strings.Contains(i.Digest, "@") {
				n.Payload = i.Image + "@" + i.Digest
			}
		}
	}
	mark := func(key string, b *because) {
		if b != nil {
			n.Metadata[key], n.Metadata[key+reason] = "true", b.Reason
		}
	}
	mark(keyBarrier, r.Metadata.Barrier)
	mark(keyDeadEnd, r.Metadata.DeadEnd)
	if o := r.Metadata.Rollout; o != nil {
		n.Metadata[keyRollout] = "true"
		for key, x := range map[string]float64{keyStart: o.Start, keyValue: o.Value, keyDuration: o.Duration} {
			n.Metadata[key] = strconv.FormatFloat(x, 'f', -1, 64)
		}
	}
	return n
}
