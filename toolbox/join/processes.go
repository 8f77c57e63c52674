package join

// Processes is how many processes are in the toolbox, its first one included.
func (h *Held) Processes() int { return each(h.of, func(int, int) {}) }
