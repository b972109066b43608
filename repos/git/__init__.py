"""The only place that runs git: fetches into stores, reads them, commits and pushes from views.

`Git` (runner) runs it, `Stores` (store) keeps the copies, `Stores.view` gives a throw-away repository to
commit and push from, `Remote` (remote) says where to. Nothing here knows Django or the database.
"""
