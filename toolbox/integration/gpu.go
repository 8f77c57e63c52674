package integration

import "slices"

// GPU is the key of GPUs whose driver the host describes by CDI.
const GPU = "gpu"

var gpu = Integration{
	Key: GPU, What: "NVIDIA's driver, where the host describes it by CDI",
	How:     "by a CDI description of `nvidia.com/gpu` in `/etc/cdi` or `/var/run/cdi`; other GPUs are in `/dev/dri` and need nothing",
	Devices: func(f *Facts) []string { return NVIDIA(f.CDI) },
}

// NVIDIA returns the CDI name of all of NVIDIA's GPUs, if the host describes them.
func NVIDIA(kinds []string) []string {
	if slices.Contains(kinds, "nvidia.com/gpu") {
		return []string{"nvidia.com/gpu=all"}
	}
	return nil
}
