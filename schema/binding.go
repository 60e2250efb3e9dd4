package schema

import (
	"errors"
	"fmt"
	"net/netip"
)

// Binding says which tokens are held against what binds them.
type Binding string

// What an option that binds tokens can be.
const (
	BindingOff      Binding = "off"
	BindingHonour   Binding = "honour"   // those that are bound
	BindingRequired Binding = "required" // all, so that those that are not are refused
)

// On tells whether any are.
func (b Binding) On() bool { return b == BindingHonour || b == BindingRequired }

func bindings() []string {
	return []string{string(BindingOff), string(BindingHonour), string(BindingRequired)}
}

// Proxies returns trusted_proxies. An address stands for itself alone. The error joins a
// [FieldError] for each that is neither that nor a block.
func (c *Config) Proxies() ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(c.TrustedProxies))
	var faults []error
	for i, text := range c.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if addr, bad := netip.ParseAddr(text); bad == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			faults = append(faults, fault(fmt.Sprintf("config.trusted_proxies[%d]", i+1), "is neither an address nor a CIDR block"))
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, errors.Join(faults...)
}
