-- Stands in for what the include uses of Kong 3.9.3: kong.db (kong/db/dao/init.lua),
-- kong.cache (kong/cache/init.lua, kong/resty/mlcache/init.lua) and
-- kong.worker_events (resty.events.compat). nginx runs it in each worker; what the
-- workers share is in shared dictionaries. Specs change it through control().
local cjson = require("cjson.safe")

local rows, shared_cache = ngx.shared.rows, ngx.shared.kong_db_cache
local events, state = ngx.shared.events, ngx.shared.state

local WORKSPACE = "0dc6f45b-8f8d-40d2-a504-473544ee190b"

-- Worker events: each worker reads the same list of them, a moment later.
local handlers = {}
local worker_events = {}

function worker_events.register(handler, source, ...)
    if state:get("register throws") then
        error("no broker")
    end
    for _, event in ipairs({ ... }) do
        local name = source .. " " .. event
        handlers[name] = handlers[name] or {}
        table.insert(handlers[name], handler)
    end
end

local function post(source, event, data)
    local n = events:incr("n", 1, 0)
    events:set(n, cjson.encode({ source .. " " .. event, data }))
end

local function deliver(exiting)
    if exiting or state:get("held") == ngx.worker.pid() then
        return
    end
    while true do
        local event = events:get(worker_events.at + 1)
        if not event then
            return
        end
        worker_events.at = worker_events.at + 1
        local name, data = unpack(cjson.decode(event))
        for _, handler in ipairs(handlers[name] or {}) do
            local ok, err = pcall(handler, data)
            if not ok then
                ngx.log(ngx.ERR, "handler of ", name, ": ", err)
            end
        end
    end
end

-- The cache: this worker's own memory, and what the workers share.
local own = {}
local MISS = {}
local cache = {}

function cache:get(key, _, load, ...)
    assert(type(key) == "string", "key must be a string")
    local row = own[key]
    if row then
        return row ~= MISS and row or nil, nil, 1
    end
    local text = shared_cache:get(key)
    if text then
        row = cjson.decode(text)
        row = row ~= cjson.null and row or nil
        own[key] = row or MISS
        return row, nil, 2
    end
    local ok, row, err = pcall(load, ...)
    if not ok then
        err = "callback threw an error: " .. tostring(row)
    end
    if err then
        return nil, "failed to get from node cache: " .. tostring(err)
    end
    shared_cache:set(key, cjson.encode(row or cjson.null))
    own[key] = row or MISS
    return row, nil, 3
end

function cache:probe(key)
    assert(type(key) == "string", "key must be a string")
    local text = shared_cache:get(key)
    if not text then
        return nil
    end
    local row = cjson.decode(text)
    return 0, nil, row ~= cjson.null and row or nil
end

function cache:invalidate(key)
    shared_cache:delete(key)
    own[key] = nil
    post("mlcache", "mlcache:invalidations:kong_db_cache", key)
end

function cache:purge()
    shared_cache:flush_all()
    own = {}
    post("mlcache", "mlcache:purge:kong_db_cache", "")
end

-- Entities. What is asked for goes to "the database" and is counted as a query.
local UUID = [[^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z]]
local unique = {
    jwt_secrets = { cached = "key", "id", "key" },
    consumers = { cached = "id", "id", "username", "custom_id" },
}

local function entity(name)
    local dao = {}

    function dao:cache_key(key)
        if type(key) == "table" then
            key = key[unique[name].cached]
        end
        return name .. ":" .. key .. ":::::" .. WORKSPACE
    end

    local function query(field, value)
        state:incr("queries", 1, 0)
        if state:get("throws") then
            error("attempt to index a nil value")
        end
        if state:get("lost") then
            return nil, "[postgres] connection refused", { code = 9 }
        end
        local text = rows:get(name .. " " .. field .. " " .. value)
        return text and cjson.decode(text)
    end

    function dao:select(by)
        if not ngx.re.find(by.id, UUID, "jo") then
            return nil, [[[postgres] invalid primary key: '{id="expected a valid UUID"}']], { code = 1 }
        end
        return query("id", by.id:lower())
    end

    for _, field in ipairs(unique[name]) do
        dao["select_by_" .. field] = function(_, value)
            assert(type(value) == "string", field .. " must be a string")
            if value == "" then
                return nil, "[postgres] invalid unique: length must be at least 1", { code = 10 }
            end
            return query(field, value)
        end
    end
    return dao
end

local daos = { jwt_secrets = entity("jwt_secrets"), consumers = entity("consumers") }

-- kong, less what a spec takes away from it.
local function without(prefix, parts)
    return setmetatable({}, {
        __index = function(_, name)
            if state:get("without") ~= prefix .. name then
                return parts[name]
            end
        end,
    })
end

kong = without("", {
    db = without("db.", daos),
    cache = without("cache.", cache),
    worker_events = without("worker_events.", worker_events),
    configuration = setmetatable({}, {
        __index = function(_, name)
            return name == "database" and (state:get("database") or "off") or nil
        end,
    }),
})

-- What a spec asks for, by name.
local orders = {}

-- A row is created, or changed; delete: it was there, and goes.
function orders.change(order)
    local name, row, dao = order.entity, order.row, daos[order.entity]
    local names = { [dao:cache_key(row)] = true }
    local old = rows:get(name .. " id " .. row.id)
    for i, text in ipairs({ old or cjson.encode(row), cjson.encode(row) }) do
        local version = cjson.decode(text)
        names[dao:cache_key(version)] = true
        if version.username then
            names[dao:cache_key(version.username)] = true
        end
        for _, field in ipairs(unique[name]) do
            if version[field] then
                local index = name .. " " .. field .. " " .. version[field]
                if i == 2 and not order.delete then
                    rows:set(index, text)
                else
                    rows:delete(index)
                end
            end
        end
    end
    for cache_key in pairs(names) do
        cache:invalidate(cache_key)
    end
end

function orders.invalidate(order)
    for n = 1, order.times or 1 do
        cache:invalidate((order.key:gsub("%%n", n)))
    end
end

function orders.purge()
    cache:purge()
end

function orders.set(order)
    state:set(order.name, order.value)
end

function orders.probe(order)
    local ttl, _, row = cache:probe(order.key)
    return { cached = ttl ~= nil, row = row }
end

function orders.queries()
    return { queries = state:get("queries") or 0 }
end

return {
    init_worker = function()
        worker_events.at = events:get("n") or 0
        worker_events.register(function(key)
            own[key] = nil
        end, "mlcache", "mlcache:invalidations:kong_db_cache")
        worker_events.register(function()
            own = {}
        end, "mlcache", "mlcache:purge:kong_db_cache")
        assert(ngx.timer.every(0.001, deliver))
    end,

    control = function()
        ngx.req.read_body()
        local order = cjson.decode(ngx.req.get_body_data())
        local answer = orders[order["do"]](order)
        ngx.say(cjson.encode(answer or { done = true }))
    end,
}
