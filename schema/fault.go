package schema

import "fmt"

// FieldError tells what is wrong with one field of a configuration. It holds
// neither a value nor a secret.
type FieldError struct {
	// Path is where the field is, counting list elements from 1 as Kong does:
	// config.credentials[1].public_key.
	Path string
	// Unknown is the name of what is no field of the record at Path; "": this is
	// not what is wrong.
	Unknown string
	// With are the paths of other options because of which the field is at fault, such
	// as those that it must be set with.
	With    []string
	Problem string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Problem }

func fault(path, format string, args ...any) *FieldError {
	return &FieldError{Path: path, Problem: fmt.Sprintf(format, args...)}
}

// FieldErrors returns all that err joins, in order; err itself where it is not
// about a field.
func FieldErrors(err error) (fields []*FieldError, others []error) {
	switch e := err.(type) { //nolint:errorlint // what wraps a field's error tells more than that
	case nil:
	case *FieldError:
		fields = append(fields, e)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			f, o := FieldErrors(inner)
			fields, others = append(fields, f...), append(others, o...)
		}
	default:
		others = append(others, err)
	}
	return fields, others
}
