async def serve_api(*args):
    pass
