package fleetlocktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// Etcd keeps the holders of a group as one key of an etcd, and changes it by transactions
// that only succeed if nobody else has changed it: etcd's JSON gateway, v3.4 and newer.
type Etcd struct{ URL string }

// holders are those of a group, and the revision at which the key was last changed; 0:
// it is not there.
type holders struct {
	IDs      []string `json:"ids"`
	revision int64
}

func (e *Etcd) call(ctx context.Context, what string, ask, answer any) error {
	data, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL+"/v3/kv/"+what, bytes.NewReader(data))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answers %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

func key(group string) []byte { return []byte("fleetlock/" + group) }

func (e *Etcd) read(ctx context.Context, group string) (holders, error) {
	var answer struct {
		KVs []struct {
			Value    []byte `json:"value"`
			Revision int64  `json:"mod_revision,string"`
		} `json:"kvs"`
	}
	var h holders
	if err := e.call(ctx, "range", map[string]any{"key": key(group)}, &answer); err != nil || len(answer.KVs) == 0 {
		return h, err
	}
	h.revision = answer.KVs[0].Revision
	return h, json.Unmarshal(answer.KVs[0].Value, &h)
}

// change does it again until nobody was faster.
func (e *Etcd) change(ctx context.Context, group string, do func(*holders) (bool, error)) error {
	for {
		h, err := e.read(ctx, group)
		if err != nil {
			return err
		}
		changed, err := do(&h)
		if err != nil || !changed {
			return err
		}
		value, err := json.Marshal(h)
		if err != nil {
			return err
		}
		var answer struct {
			Succeeded bool `json:"succeeded"`
		}
		ask := map[string]any{
			"compare": []any{map[string]any{"key": key(group), "target": "MOD", "result": "EQUAL", "mod_revision": fmt.Sprint(h.revision)}},
			"success": []any{map[string]any{"request_put": map[string]any{"key": key(group), "value": value}}},
		}
		if err := e.call(ctx, "txn", ask, &answer); err != nil || answer.Succeeded {
			return err
		}
	}
}

// Hold is that of Slots.
func (e *Etcd) Hold(ctx context.Context, group, id string, most int) error {
	return e.change(ctx, group, func(h *holders) (bool, error) {
		if slices.Contains(h.IDs, id) {
			return false, nil
		}
		if len(h.IDs) >= most {
			return false, ErrFull
		}
		h.IDs = append(h.IDs, id)
		return true, nil
	})
}

// Leave is that of Slots.
func (e *Etcd) Leave(ctx context.Context, group, id string) error {
	return e.change(ctx, group, func(h *holders) (bool, error) {
		n := len(h.IDs)
		h.IDs = slices.DeleteFunc(h.IDs, func(o string) bool { return o == id })
		return len(h.IDs) < n, nil
	})
}

// Holders are those of a group, in the order in which they came.
func (e *Etcd) Holders(ctx context.Context, group string) ([]string, error) {
	h, err := e.read(ctx, group)
	return h.IDs, err
}
