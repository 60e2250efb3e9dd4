package check

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"kong-go-jwt/schema"
)

// draft is a configuration as it is written, from which what is refused is taken out
// until the rest can be looked at.
type draft struct {
	settings map[string]any
	refused  map[string]bool  // options that were taken out
	left     map[string][]int // where the elements that are left of a list were, from 0
}

func newDraft(settings map[string]any) *draft {
	return &draft{settings: settings, refused: map[string]bool{}, left: map[string][]int{}}
}

// options are those of which something was taken out.
func (d *draft) options() []string {
	return append(slices.Sorted(maps.Keys(d.refused)), slices.Sorted(maps.Keys(d.left))...)
}

// follows tells whether a fault is there only because something was taken out.
func (d *draft) follows(f *schema.FieldError) bool {
	return d.refused[topField(f.Path)] || slices.ContainsFunc(f.With, func(path string) bool { return d.refused[topField(path)] })
}

// without takes out what is at fault: of a list of records, the record alone. It reports
// false if there was nothing to take out.
func (d *draft) without(faults []*schema.FieldError) (some bool) {
	elements := map[string][]int{}
	for _, f := range faults {
		name := topField(f.Path)
		if f.Unknown != "" && name == "" {
			name = f.Unknown
		}
		if _, there := d.settings[name]; there {
			some = true
			elements[name] = append(elements[name], elementOf(f.Path))
			continue
		}
		for _, path := range f.With { // it is missing: what needs it goes
			if other := topField(path); d.settings[other] != nil {
				some = true
				elements[other] = append(elements[other], whole)
			}
		}
	}
	for name, at := range elements {
		d.take(name, at)
	}
	return some
}

// whole is the place of an option itself, as opposed to that of an element.
const whole = -1

// take takes these elements out of an option, or all of it.
func (d *draft) take(name string, at []int) {
	list, _ := d.settings[name].([]any)
	places := d.left[name]
	if places == nil {
		for i := range list {
			places = append(places, i)
		}
	}
	var elements []any
	var kept []int
	for i, element := range list {
		if _, isRecord := element.(map[string]any); !slices.Contains(at, i) && isRecord {
			elements, kept = append(elements, element), append(kept, places[i])
		}
	}
	if slices.Contains(at, whole) || len(kept) == 0 {
		delete(d.settings, name)
		d.refused[name] = true
		return
	}
	d.settings[name], d.left[name] = elements, kept
}

var element = regexp.MustCompile(`^(config\.\w+)\[(\d+)\]`)

// elementOf is the element of an option that a path leads into, from 0, or [whole].
func elementOf(path string) int {
	if m := element.FindStringSubmatch(path); m != nil {
		if i, err := strconv.Atoi(m[2]); err == nil {
			return i - 1
		}
	}
	return whole
}

// written returns a path as it is in what was written, before anything was taken out.
func (d *draft) written(path string) string {
	at := elementOf(path)
	left := d.left[topField(path)]
	if at < 0 || at >= len(left) {
		return path
	}
	return element.ReplaceAllString(path, fmt.Sprintf("${1}[%d]", left[at]+1))
}
