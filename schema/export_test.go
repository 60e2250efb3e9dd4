package schema

func LuaString(s string) string { return luaString(s) }
